"""Whether two faces are the same person's, as far as a network of emotions can tell: it errs towards "another"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.types import Image

_SIDE = 16
_FEATURES, _SHAPE, _COLOURS = 0.85, 0.8, 0.85
"""Two faces belong to the same person where the cosine of their features and the correlations of their looks are above
these. The features alone do not suffice: they are made to tell emotions apart, and people who show the same emotion
have similar ones. Of 440 photographs of different people, 0.15 % of the pairs with the same emotion are above all
three; of drawn faces, which differ in little but their colours, 0.5 %. One face in a film is above them after 0.25 s in
95 % of all cases, and after 1.25 s in 61 %."""


class Likeness(NamedTuple):
    """What a face is recognised by.

    Attributes:
        features: The penultimate features of the network, float32 [F], of length 1.
        shape: The face itself, small and grey, float32 [256], of mean 0 and length 1; 0 where it is of one grey.
        colours: The same in colour, float32 [768].
    """

    features: NDArray[np.float32]
    shape: NDArray[np.float32]
    colours: NDArray[np.float32]

    @classmethod
    def of(cls, crop: Image, features: NDArray[np.float32]) -> Likeness:
        """Of an aligned crop, RGB uint8 [h, w, 3], and what the network makes of it, float32 [F]."""
        grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)
        return cls(_unit(np.asarray(features, np.float32)), looks(grey, _SIDE), looks(crop, _SIDE))

    def agrees(self, other: Likeness) -> bool:
        """Whether both are the same person's; never where a number is not finite."""
        return bool(
            self.features @ other.features > _FEATURES
            and self.shape @ other.shape > _SHAPE
            and self.colours @ other.colours > _COLOURS
        )


def looks(image: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """A picture uint8 [h, w] or [h, w, C] as float32 [side * side * C] of mean 0 and length 1.

    The product of two of them is their correlation, which knows colours but neither brightness nor contrast.
    """
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    return _unit(small - small.mean())


def likenesses(crops: Sequence[Image], features: NDArray[np.float32]) -> list[Likeness]:
    """One for each crop and its row of features, float32 [N, F]."""
    return [Likeness.of(crop, row) for crop, row in zip(crops, features, strict=True)]


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values / max(float(np.linalg.norm(values)), 1e-6)
