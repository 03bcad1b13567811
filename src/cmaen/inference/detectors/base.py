"""What a detector is, its options, and what the detectors of this package share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.errors import ConfigError, DetectorError
from cmaen.resources import usable_cores
from cmaen.types import FaceBox, Image

_T = TypeVar("_T")


class Detector(Protocol):
    """Finds the faces of a picture; several threads may call it at the same time."""

    def __call__(self, image: Image) -> list[FaceBox]:
        """RGB uint8 [H, W, 3] -> faces in its pixels, the largest first; none is an empty list.

        Raises:
            DetectorError: The detector fails on this picture; the next may go well.
        """
        ...


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """What can be set for every detector.

    Attributes:
        max_side: The longer side, in pixels, to which larger pictures are shrunk before they are searched, from 32 up:
            more finds smaller faces and takes longer. ``None`` for the detector's own.
        min_score: Faces that it is less sure of are dropped, 0 to 1. ``None`` for the detector's own.
        min_face: Faces whose shorter side is below are dropped, in pixels of the picture itself.

    Raises:
        ConfigError: A value is out of its range.
    """

    max_side: int | None = None
    min_score: float | None = None
    min_face: float = 0.0

    def __post_init__(self) -> None:
        if self.max_side is not None and not self.max_side >= 32:
            raise ConfigError(f"the detector's max_side must be at least 32 pixels, not {self.max_side}")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise ConfigError(f"the detector's min_score must lie between 0 and 1, not {self.min_score}")
        if not 0 <= self.min_face < float("inf"):
            raise ConfigError(f"the detector's min_face must be 0 pixels or more, not {self.min_face}")


OWN = DetectorOptions()
"""Every detector's own options."""


class Found(NamedTuple):
    """The faces of a picture as arrays, in its pixels.

    Attributes:
        boxes: x, y, width and height, [N, 4].
        scores: 0 to 1, [N].
        landmarks: In the order of :class:`~cmaen.types.FaceBox`, [N, 5, 2]; ``None`` where the detector has none.
    """

    boxes: NDArray[np.floating]
    scores: NDArray[np.floating]
    landmarks: NDArray[np.floating] | None = None


class ShrinkingDetector(ABC):
    """A :class:`Detector` that searches the picture made smaller; a subclass says how one is searched.

    Args:
        options: What the caller wants.
        max_side, min_score: What is taken where the options leave it open.
    """

    def __init__(self, options: DetectorOptions, *, max_side: int, min_score: float) -> None:
        self.max_side = max_side if options.max_side is None else options.max_side
        self.min_score = min_score if options.min_score is None else options.min_score
        self.min_face = options.min_face

    @abstractmethod
    def search(self, image: Image) -> Found:
        """RGB uint8 [h, w, 3], neither side above ``max_side`` -> the faces in it, in any order."""

    def __call__(self, image: Image) -> list[FaceBox]:
        """See :class:`Detector`."""
        try:
            small = shrunk(image, self.max_side)
            boxes, scores, landmarks = self.search(small)
        except Exception as error:  # those of OpenCV and ONNX Runtime share no base
            raise DetectorError(f"{type(self).__name__} fails on a picture of shape {image.shape}: {error}") from error
        scale = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        boxes = boxes * np.tile(scale, 2)  # [N, 4]
        landmarks = np.empty((len(boxes), 0, 2)) if landmarks is None else landmarks * scale  # [N, 5 or 0, 2]
        finite = np.isfinite(boxes).all(axis=1) & np.isfinite(landmarks).all(axis=(1, 2)) & np.isfinite(scores)
        shorter = boxes[:, 2:].min(axis=1)
        usable = np.flatnonzero(finite & (shorter > 0) & (shorter >= self.min_face))
        usable = usable[np.argsort(-boxes[usable, 2:].prod(axis=1), kind="stable")]
        return [
            FaceBox(x, y, width, height, score, tuple((px, py) for px, py in marks) or None)
            for (x, y, width, height), score, marks in zip(
                boxes[usable].tolist(), scores[usable].tolist(), landmarks[usable].tolist(), strict=True
            )
        ]


def bound_opencv() -> None:
    """Let OpenCV, whose threads belong to the whole process, start no more of them than there are cores to use."""
    cores = usable_cores()
    if cv2.getNumThreads() > cores:
        cv2.setNumThreads(cores)


class Pool(Generic[_T]):
    """``with pool() as one``: for what keeps state and is slow to build; one that no other thread has at the time."""

    def __init__(self, build: Callable[[], _T]) -> None:
        self._build = build
        self._free = [build()]

    @contextmanager
    def __call__(self) -> Iterator[_T]:
        """A free one, or a new one."""
        try:
            one = self._free.pop()
        except IndexError:
            one = self._build()
        try:
            yield one
        finally:
            self._free.append(one)


def shrunk(image: Image, max_side: int) -> Image:
    """The image with its longer side at most ``max_side``, to within a pixel of the result, and no side below one."""
    while max(image.shape[:2]) >= 2 * max_side and min(image.shape[:2]) > 1:  # halving is much faster than the rest
        height, width = image.shape[0] // 2, image.shape[1] // 2
        image = _averaged(image[: 2 * height, : 2 * width], width, height)
    height, width = image.shape[:2]
    factor = max_side / max(height, width)
    return image if factor >= 1 else _averaged(image, round(width * factor), round(height * factor))


def _averaged(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (max(1, width), max(1, height)), interpolation=cv2.INTER_AREA), np.uint8)
