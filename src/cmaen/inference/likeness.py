"""Whether two faces of a video belong to the same person, judged by their appearance rather than by the network.

The network's features separate emotions: different people with the same emotion have similar features, and one person
who begins to smile has different ones. Measured together with the appearance they added nothing, so they are not used
here.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cmaen.types import Image

ALIKE, CONTINUED = 0.71, 0.62
"""Similarity, see :meth:`Likeness.to`, above which two faces are taken for the same person: after a change of scene,
and within one scene. Of 5,000 pairs of photographs of different people, about 0.1 % are above the first value, and 3.9
% and 1.3 % above 0.6 and 0.65; after matching the colours of one to the other, about 2 %, and 23 % and 10 %. The values
were chosen on two short films, where faces 1 s apart are above the first in about 98 % of cases and above 0.65 in
all."""

SIDE, MARGIN = 20, 3
"""Side of the small grey face, and largest shift between two of them, in pixels."""
LEVELS = 8
MEAN, DEVIATION = 128.0, 48.0
"""Mean and deviation of the normalised brightness, for colours that do not depend on the light."""
FLAT = 1.0
"""Deviation in grey levels up to which a face counts as uniformly grey."""


class Likeness(NamedTuple):
    """The appearance by which a face is recognised.

    Attributes:
        shape: Small grey face, uint8 [20, 20].
        colours: Colour histograms at the original and at the normalised brightness, float32 [2, 512], rows summing to
            1.
    """

    shape: NDArray[np.uint8]
    colours: NDArray[np.float32]

    @classmethod
    def of(cls, crop: Image) -> Likeness:
        """Describe an aligned crop, RGB uint8 [h, w, 3]."""
        small = np.asarray(cv2.resize(crop, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        mean, deviation = float(grey.mean()), max(float(grey.std()), FLAT)
        usual = np.clip((small - np.float32(mean)) * np.float32(DEVIATION / deviation) + np.float32(MEAN), 0, 255)
        shape = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        return cls(shape, np.stack([_histogram(small), _histogram(usual.astype(np.uint8))]))

    def to(self, other: Likeness) -> float:
        """Compare two faces: from below 0 for unlike ones to 1 for the same image.

        The similarity is the mean of two numbers: the best correlation of the two shapes over shifts of a few pixels,
        and the overlap of their colours, at the original or the normalised brightness, whichever is higher.
        """
        shared = float(np.minimum(self.colours, other.colours).sum(axis=1).max())
        return (_correlation(self.shape, other.shape) + shared) / 2


def _histogram(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    counts = cv2.calcHist([image], [0, 1, 2], None, [LEVELS] * 3, [0, 256] * 3)
    return np.asarray(counts.ravel() / (image.shape[0] * image.shape[1]), np.float32)


def _correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Correlate the centre of one small face with every part of the other, and return the best; 0 if one is uniform."""
    part = SIDE - 2 * MARGIN
    middle = other[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.float32).ravel()
    middle -= middle.mean()
    windows = sliding_window_view(one.astype(np.float32), (part, part)).reshape(-1, part * part)  # [49, 196]
    windows = windows - windows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(windows, axis=1) * np.linalg.norm(middle)
    there = length > FLAT * middle.size
    return float((windows[there] @ middle / length[there]).max(initial=0.0))
