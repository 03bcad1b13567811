"""Values shared by all rooms: emotions, face boxes, frames; frozen, validated, without heavy imports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""The seven emotions, in the order that every array, file and checkpoint of this project uses."""

CONTEMPT = "contempt"
"""The eighth emotion of FER+."""

FER2013, PERCEIVED, OWN = "fer2013", "perceived", "own"
"""The label schemes. ``fer2013``: the label that FER2013 would give. ``perceived``: the share of annotators who would
see each emotion, learnt from the votes of FER+. ``own``: custom labels, the only scheme of their checkpoint."""

PERCEIVED_LABELS: tuple[str, ...] = (*EMOTIONS, CONTEMPT)
"""Labels of the network under ``perceived``; contempt is left out of the answers unless it is requested."""

UNCERTAIN = "uncertain"
"""Answer if the most probable emotion is not probable enough, see :attr:`cmaen.results.Face.threshold`."""

UNSURE_BELOW = 0.5
"""Confidence below which an answer is shown as unsure, with its two most probable emotions, on the page, in pictures
and in tables; records keep the most probable emotion."""

Image = NDArray[np.uint8]
"""RGB image, uint8 [H, W, 3]."""

Status = Literal["ok", "no_face", "error"]


def certainty_of(probabilities: Sequence[float], sharpening: float) -> float | None:
    """Compute a confidence that differs from the probability, see :attr:`cmaen.checkpoints.card.Scheme.sharpening`.

    It is ``max(p ** s) / sum(p ** s)``; ``None`` for a power of 1, where both are the same.
    """
    if sharpening == 1:
        return None
    powers = np.asarray(probabilities, np.float64) ** sharpening
    return float(powers.max() / powers.sum())


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face in pixels of its image: the box, its five landmarks and the detector's score. All numbers are finite.

    Attributes:
        x, y: Left and top edge; may lie outside the image if the face is cut off.
        width, height: Size, above 0.
        score: The detector's confidence in [0, 1].
        landmarks: Left eye, right eye, nose, left and right mouth corner, ``(x, y)`` each, as seen in the image when
            the face is upright (left = smaller x); ``None`` if the detector has none.

    Raises:
        ValueError: A size is not above 0, a number is not finite, or the number of landmarks is not five.
    """

    x: float
    y: float
    width: float
    height: float
    score: float = 1.0
    landmarks: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise ValueError(f"a face box needs a positive size, not {self.width} x {self.height}")
        if self.landmarks is not None and len(self.landmarks) != 5:
            raise ValueError(f"a face has five landmarks, not {len(self.landmarks)}")
        numbers = [self.x, self.y, self.width, self.height, self.score, *chain.from_iterable(self.landmarks or ())]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"the numbers of a face must be finite: {self}")

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Frame:
    """One image on its way from a source to the sinks.

    Attributes:
        index: Position in the source, from 0.
        name: Name of the file, address or camera; may be empty for an image in memory.
        image: Pixels; ``None`` if they could not be read, or if no sink needs them any more. They are ignored in
            comparisons.
        time: Seconds since the beginning of a video; ``None`` for a still image.
        error: Class and message of the error if the image could not be read; otherwise ``None``.
        size: Width and height in pixels, taken from the image and kept without it; ``None`` if it could not be read.
    """

    index: int
    name: str = ""
    image: Image | None = field(default=None, compare=False, repr=False)
    time: float | None = None
    error: str | None = None
    size: tuple[int, int] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.image is not None:
            object.__setattr__(self, "size", (self.image.shape[1], self.image.shape[0]))
