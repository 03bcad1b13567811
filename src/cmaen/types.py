"""The values that travel between the rooms: emotions, face boxes, frames; frozen, validated, free of heavy imports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""The seven emotions in the one order that every array, file and checkpoint of this project uses."""

CONTEMPT = "contempt"
"""The eighth emotion of FER+."""

FER2013, PERCEIVED, OWN = "fer2013", "perceived", "own"
"""The label schemes. ``fer2013``: what the label in FER2013 would be. ``perceived``: the share of annotators who would
see each emotion, learnt from the votes of FER+. ``own``: labels of your own, alone in their checkpoint."""

PERCEIVED_LABELS: tuple[str, ...] = (*EMOTIONS, CONTEMPT)
"""What the network answers under ``perceived``; contempt is left out of the answers unless it is asked for."""

UNCERTAIN = "uncertain"
"""The answer where the most probable emotion is not probable enough, see :attr:`cmaen.results.Face.threshold`."""

UNSURE_BELOW = 0.5
"""Confidence below which an answer is shown as unsure, with its two most probable emotions, on the page, in pictures
and in tables; the records keep the most probable one."""

Image = NDArray[np.uint8]
"""RGB picture, uint8 [H, W, 3]."""

Status = Literal["ok", "no_face", "error"]


def certainty_of(probabilities: Sequence[float], sharpening: float) -> float | None:
    """The confidence of an answer that is not its probability, see :attr:`cmaen.checkpoints.card.Scheme.sharpening`.

    ``max(p ** s) / sum(p ** s)``; ``None`` with a power of 1, where the two are the same.
    """
    if sharpening == 1:
        return None
    powers = np.asarray(probabilities, np.float64) ** sharpening
    return float(powers.max() / powers.sum())


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face in pixels of its image: the box, its five landmarks and the detector's score; every number is finite.

    Attributes:
        x, y: Left and top edge; may lie outside the image where a face is cut off.
        width, height: Size, above 0.
        score: The detector's confidence in [0, 1].
        landmarks: Left eye, right eye, nose, left and right mouth corner as seen in the image when the face is
            upright (left = smaller x), ``(x, y)`` each; ``None`` where the detector has none.

    Raises:
        ValueError: A size is not above 0, a number is not finite, or there are not five landmarks.
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
    """One picture on its way from a source to the sinks.

    Attributes:
        index: From 0, in its source.
        name: Of its file, address or camera; may be empty for a picture in memory.
        image: Its pixels; ``None`` where they could not be read, and where no sink needs them any more. Two frames that
            differ in their pixels alone are equal.
        time: In seconds since the beginning of a video; ``None`` for a still picture.
        error: What is wrong with it: the error's class and message.
        size: Width and height in pixels, taken from the image and kept without it; ``None`` where it could not be read.
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
