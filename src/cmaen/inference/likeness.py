"""Whether two faces are the same person's, as far as a network of emotions can tell: it errs towards "another"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.types import Image

_SIDE = 24
_FEATURES, _LOOK = 0.85, 0.8
"""Two faces belong to the same person where the cosine of their features and the correlation of their looks are above
these. The features alone do not suffice: they are made to tell emotions apart, and people who show the same emotion
have similar ones. Of 700 photographs of different people, 0.07 % of the pairs are above both, and 0.2 % of the pairs
with the same emotion."""


class Likeness(NamedTuple):
    """What a face is recognised by.

    Attributes:
        features: The penultimate features of the network, float32 [F], of length 1.
        look: The face itself, small and grey, float32 [576], of mean 0 and length 1; 0 where it is of one colour.
    """

    features: NDArray[np.float32]
    look: NDArray[np.float32]

    @classmethod
    def of(cls, crop: Image, features: NDArray[np.float32]) -> Likeness:
        """Of an aligned crop, RGB uint8 [h, w, 3], and what the network makes of it, float32 [F]."""
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        return cls(_unit(np.asarray(features, np.float32)), looks(np.asarray(grey, np.uint8), _SIDE))

    def agrees(self, other: Likeness) -> bool:
        """Whether both are the same person's; never where a number is not finite."""
        return bool(self.features @ other.features > _FEATURES and self.look @ other.look > _LOOK)


def looks(grey: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """A grey picture uint8 [h, w] as float32 [side * side] of mean 0 and length 1.

    The product of two of them is their correlation.
    """
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    return _unit(small - small.mean())


def likenesses(crops: Sequence[Image], features: NDArray[np.float32]) -> list[Likeness]:
    """One for each crop and its row of features, float32 [N, F]."""
    return [Likeness.of(crop, row) for crop, row in zip(crops, features, strict=True)]


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values / max(float(np.linalg.norm(values)), 1e-6)
