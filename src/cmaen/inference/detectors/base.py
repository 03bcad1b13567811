"""The protocol of detectors, their options, and what the detectors of this package share."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.errors import DetectorError, SettingError, guard
from cmaen.inference.detectors.again import cut_tiles, merge, place, turn_back
from cmaen.inference.registry import Entry
from cmaen.resources import usable_cores
from cmaen.types import FaceBox, Image

_T = TypeVar("_T")
_D = TypeVar("_D", bound="ShrinkingDetector")
FAR, LARGE = 10, 4
"""Factors by which an image must exceed the search size to be searched in tiles as well: with faces, and without."""
TILE = 4
"""Side of a tile relative to the search size."""
BETTER = 0.03
"""Margin by which the score of a face in the rotated image must be higher."""
CLOSER_FROM = 1.5
"""Factor by which a still image must exceed the search size for the closer look."""
CLOSER_SCORE = 0.05
"""Margin added to the minimum score in the closer look, where four times as many places may be mistaken for a face."""

log = logging.getLogger(__name__)


class Detector(Protocol):
    """Finds the faces of an image; several threads may call it at the same time."""

    def __call__(self, image: Image) -> list[FaceBox]:
        """Find the faces of an image, RGB uint8 [H, W, 3]: boxes in its pixels, the largest first, or an empty list.

        Raises:
            DetectorError: The detector fails on this image; it may work on the next one.
        """
        ...


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """Options of every detector.

    Attributes:
        max_side: Longer side in pixels, at least 32, to which larger images are shrunk before the search: a larger
            value finds smaller faces and takes longer. If it is set, there is no closer look. ``None`` for the
            detector's own.
        min_score: Score below which faces are dropped, 0 to 1. ``None`` for the detector's own.
        min_face: Shorter side in pixels of the original image below which faces are dropped.

    Raises:
        SettingError: A value is out of its range; the message lists all such values.
    """

    max_side: int | None = None
    min_score: float | None = None
    min_face: float = 0.0

    def __post_init__(self) -> None:
        problems = []
        if self.max_side is not None and not self.max_side >= 32:
            problems.append(f"the detector's max_side must be at least 32 pixels, not {self.max_side}")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            problems.append(f"the detector's min_score must lie between 0 and 1, not {self.min_score}")
        if not 0 <= self.min_face < float("inf"):
            problems.append(f"the detector's min_face must be 0 pixels or more, not {self.min_face}")
        if problems:
            raise SettingError("; ".join(problems))


DETECTORS = {
    "centerface": Entry("cmaen.inference.detectors.centerface:CenterFace"),
    "yunet": Entry("cmaen.inference.detectors.yunet:YuNet"),
}
"""Entries by name; each class, also that of a plug-in, takes the path of its model or ``None``, ``options`` and
``threads``, and its objects are called like a :class:`Detector`."""

DEFAULT = "yunet"
"""Name of the default detector."""

OWN = DetectorOptions()
"""Options that are all left to the detector."""


class Found(NamedTuple):
    """The faces of an image as arrays, in its pixels.

    Attributes:
        boxes: x, y, width and height, [N, 4].
        scores: Scores from 0 to 1, [N].
        landmarks: Landmarks in the order of :class:`~cmaen.types.FaceBox`, [N, 5, 2]; ``None`` if the detector has
            none.
    """

    boxes: NDArray[np.floating]
    scores: NDArray[np.floating]
    landmarks: NDArray[np.floating] | None = None


class ShrinkingDetector(ABC):
    """A :class:`Detector` that searches a reduced image; subclasses implement the search itself.

    It can be pickled for other processes, where it is rebuilt with the same arguments.

    If it is not sure of any face, it searches again in the image rotated by a quarter, a half and three quarters; the
    landmarks of a face found in this way keep their order, so its crop is upright. A still image also gets a closer
    look, for small faces that the first search misses. An image far larger than the search size is also searched in
    tiles if nothing is found or its faces would be lost.

    Args:
        options: Options of the caller.
        max_side, min_score: Values for options that the caller leaves open.
        closer: Longer side in the closer look; ``None`` for none, as when the options set ``max_side``.
        sure: Score from which a face is certain to be upright; ``None`` if the detector gives no such score, or no
            landmarks for rotating a face upright.
    """

    def __new__(cls: type[_D], *arguments: Any, **options: Any) -> _D:
        """Remember the arguments for pickling."""
        detector = super().__new__(cls)
        detector._built_with = partial(cls, *arguments, **options)
        return detector

    def __reduce__(self) -> tuple[Callable[[], ShrinkingDetector], tuple[()]]:
        return self._built_with, ()

    def __init__(
        self,
        options: DetectorOptions,
        *,
        max_side: int,
        min_score: float,
        closer: int | None = None,
        sure: float | None = None,
    ) -> None:
        self.max_side: int = max_side if options.max_side is None else options.max_side
        self.min_score: float = min_score if options.min_score is None else options.min_score
        self.min_face: float = options.min_face
        self.closer: int | None = closer if options.max_side is None else None
        self.sure = sure

    _built_with: Callable[[], ShrinkingDetector]

    @abstractmethod
    def search(self, image: Image) -> Found:
        """Search an image, RGB uint8 [h, w, 3], sides up to ``max_side`` or ``closer``; return faces in any order."""

    def __call__(self, image: Image) -> list[FaceBox]:
        """See :class:`Detector`."""
        return self._find(image, self.closer)

    def glance(self, image: Image) -> list[FaceBox]:
        """Find the faces of a video frame: without the closer look, because the next frame follows soon.

        Raises:
            DetectorError: See :class:`Detector`.
        """
        return self._find(image, None)

    def _find(self, image: Image, closer: int | None) -> list[FaceBox]:
        with guard(DetectorError, f"{type(self).__name__} fails on an image of shape {image.shape}"):
            height, width = image.shape[:2]
            small = shrunk(image, self.max_side)
            faces = self._find_small(small, width, height)
            if self.sure is not None and max((face.score for face in faces), default=0.0) < self.sure:
                faces = merge(faces, self._find_turned(small, width, height, self.sure), better_by=BETTER)
            far = self.max_side * (FAR if faces else LARGE)
            if closer is not None and max(width, height) >= self.max_side * CLOSER_FROM:
                more = self._find_small(shrunk(image, closer, quickly=True), width, height)
                surer = [face for face in more if face.score >= self.min_score + CLOSER_SCORE]
                faces = merge(faces, surer, better_by=math.inf)  # faces already found stay unchanged
                far = max(far, closer * TILE)  # up to this size the closer look is as fine as the tiles
            if max(width, height) > far:
                faces = self._with_tiles(image, faces)
        return sorted(
            (face for face in faces if min(face.width, face.height) >= self.min_face), key=lambda face: -face.area
        )

    def _find_small(self, small: Image, width: int, height: int) -> list[FaceBox]:
        """Find the faces of a reduced image, and scale them to the pixels of the original one."""
        boxes, scores, landmarks = self.search(small)
        scale = np.array([width / small.shape[1], height / small.shape[0]])
        boxes = boxes * np.tile(scale, 2)  # [N, 4]
        landmarks = np.empty((len(boxes), 0, 2)) if landmarks is None else landmarks * scale  # [N, 5 or 0, 2]
        finite = np.isfinite(boxes).all(axis=1) & np.isfinite(landmarks).all(axis=(1, 2)) & np.isfinite(scores)
        usable = finite & (boxes[:, 2:].min(axis=1) > 0)
        return [
            FaceBox(x, y, across, down, score, tuple((px, py) for px, py in marks) or None)
            for (x, y, across, down), score, marks in zip(
                boxes[usable].tolist(), scores[usable].tolist(), landmarks[usable].tolist(), strict=True
            )
        ]

    def _find_turned(self, small: Image, width: int, height: int, sure: float) -> list[FaceBox]:
        """Find faces with a certain score in the rotated image, in pixels of the original one."""
        found: list[FaceBox] = []
        for quarters in (2, 1, 3):
            size = (width, height) if quarters == 2 else (height, width)
            faces = self._find_small(np.ascontiguousarray(np.rot90(small, quarters)), *size)
            found += [turn_back(face, quarters, width, height) for face in faces if face.score >= sure]
        return found

    def _with_tiles(self, image: Image, faces: list[FaceBox]) -> list[FaceBox]:
        """Add the faces that are found in tiles of the image."""
        height, width = image.shape[:2]
        found: list[FaceBox] = []
        for tile in cut_tiles(width, height, TILE * self.max_side):
            part = image[tile.top : tile.bottom, tile.left : tile.right]
            inside = self._find_small(shrunk(part, self.max_side), part.shape[1], part.shape[0])
            found = merge(found, place(inside, tile, width, height))
        merged = merge(faces, found)
        if len(merged) > len(faces):
            log.warning(
                "the image of %d x %d pixels is far larger than the search size of %d pixels, so it was also searched "
                "in tiles, which found faces that would have been missed: %d instead of %d",
                *(width, height, self.max_side, len(merged), len(faces)),
            )
        return merged


def bound_opencv() -> None:
    """Limit OpenCV's threads, which belong to the whole process, to the number of usable cores."""
    cores = usable_cores()
    if cv2.getNumThreads() > cores:
        cv2.setNumThreads(cores)


class Pool(Generic[_T]):
    """Pool of objects that hold state and are slow to build: ``with pool() as one`` lends one to a single thread."""

    def __init__(self, build: Callable[[], _T]) -> None:
        self._build = build
        self._free = [build()]

    @contextmanager
    def __call__(self) -> Iterator[_T]:
        """Lend a free object, or build a new one."""
        try:
            one = self._free.pop()
        except IndexError:
            one = self._build()
        try:
            yield one
        finally:
            self._free.append(one)


def shrunk(image: Image, max_side: int, *, quickly: bool = False) -> Image:
    """Shrink an image so that its longer side is about ``max_side``, within a pixel, and no side is below one.

    Args:
        image: RGB uint8 [H, W, 3].
        max_side: Longer side in pixels.
        quickly: Whether to interpolate instead of average after all halvings, which takes a seventh of the time.
    """
    while max(image.shape[:2]) >= 2 * max_side and min(image.shape[:2]) > 1:  # halving is much faster than the rest
        height, width = image.shape[0] // 2, image.shape[1] // 2
        image = _resize(image[: 2 * height, : 2 * width], width, height, cv2.INTER_AREA)
    height, width = image.shape[:2]
    factor = max_side / max(height, width)
    if factor >= 1:
        return image
    by = cv2.INTER_LINEAR if quickly and factor > 1 / 2 else cv2.INTER_AREA
    return _resize(image, round(width * factor), round(height * factor), by)


def _resize(image: Image, width: int, height: int, interpolation: int) -> Image:
    return np.asarray(cv2.resize(image, (max(1, width), max(1, height)), interpolation=interpolation), np.uint8)
