"""Whether two faces of a video are the same person's, told from how they look; a network of emotions cannot tell.

Its features are made to tell emotions apart: people who show the same emotion have similar ones, and one person who
begins to smile has not. Measured beside the looks they added nothing, so that no network is asked here.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cmaen.types import Image

ALIKE, CONTINUED = 0.71, 0.62
"""How alike two faces are, see :meth:`Likeness.to`, that are taken for the same person's: after a change of scene, and
in one scene. Of 5,000 pairs of photos of different people about 0.1 % are above the first, and 3.9 % and 1.3 % above
0.6 and 0.65; where the colours of one were made those of the other about 2 %, and 23 % and 10 %. They were chosen
with two short films, whose faces after 1 s are above the first in about 98 % and above 0.65 in all cases."""

SIDE, MARGIN = 20, 3
"""Of the small grey face, and by how many pixels two of them may be shifted against each other."""
LEVELS = 8
MEAN, DEVIATION = 128.0, 48.0
"""Of the brightness of a face, in the colours that do not depend on the light."""
FLAT = 1.0
"""The deviation, in grey levels, up to which a face is of one grey."""


class Likeness(NamedTuple):
    """What a face is recognised by.

    Attributes:
        shape: The face, small and grey, uint8 [20, 20].
        colours: How often each colour occurs in it, as it is and at a usual brightness, float32 [2, 512], rows summing
            to 1.
    """

    shape: NDArray[np.uint8]
    colours: NDArray[np.float32]

    @classmethod
    def of(cls, crop: Image) -> Likeness:
        """Of an aligned crop, RGB uint8 [h, w, 3]."""
        small = np.asarray(cv2.resize(crop, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        mean, deviation = float(grey.mean()), max(float(grey.std()), FLAT)
        usual = np.clip((small - np.float32(mean)) * np.float32(DEVIATION / deviation) + np.float32(MEAN), 0, 255)
        shape = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        return cls(shape, np.stack([_histogram(small), _histogram(usual.astype(np.uint8))]))

    def to(self, other: Likeness) -> float:
        """How alike two faces are, from below 0 to 1 for the same picture.

        That is the mean of two numbers: how well their shapes correlate where one is shifted against the other by a few
        pixels, and how many of their colours they share, in the light that they are in or in the same light.
        """
        shared = float(np.minimum(self.colours, other.colours).sum(axis=1).max())
        return (_correlation(self.shape, other.shape) + shared) / 2


def _histogram(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    counts = cv2.calcHist([image], [0, 1, 2], None, [LEVELS] * 3, [0, 256] * 3)
    return np.asarray(counts.ravel() / (image.shape[0] * image.shape[1]), np.float32)


def _correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The best correlation of the middle of one small face with a part of the other; 0 where one is of one grey."""
    part = SIDE - 2 * MARGIN
    middle = other[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.float32).ravel()
    middle -= middle.mean()
    windows = sliding_window_view(one.astype(np.float32), (part, part)).reshape(-1, part * part)  # [49, 196]
    windows = windows - windows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(windows, axis=1) * np.linalg.norm(middle)
    there = length > FLAT * middle.size
    return float((windows[there] @ middle / length[there]).max(initial=0.0))
