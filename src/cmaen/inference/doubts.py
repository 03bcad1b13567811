"""Why the network may be unsure of a face: what is wrong with the picture of it, told from its pixels and landmarks.

Each is measured on its own and means what it says; that the answer is unsure *because* of it is likely, and no more.
The limits were chosen on photographs of LFW, and faces that are fine are hardly ever named
(``examples/measure_doubts.py``, ``docs/figures.md``).

That a face is covered, by a hand, a mask or glasses, is not told. The best sign of it, a low score of the detector, was
there for half of the hands, a third of the masks and a twelfth of the glasses, and for two of five noisy pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.preprocessing import to_grey

SMALL, BLURRED, DARK, TURNED = "small", "blurred", "dark", "turned"
DOUBTS = (SMALL, BLURRED, DARK, TURNED)
"""In the order in which they are named."""

LEAST_SIDE = 32
"""Pixels of a face's side below which it is small: half as many cost 15 points of accuracy, these cost 4."""
SIDE = 64
"""Pixels to which a larger face is reduced before its sharpness and its light are measured: a face that is blurred in
full size only is sharp enough for the network."""
SHARP = 0.075
"""Contrast of the fine detail of a face's middle, over its whole contrast, below which it is blurred."""
LIGHT = 80
"""Grey level that a twentieth of the face must reach, or it is dark. The bright end is measured, and not the mean: dark
skin in good light has highlights, and light skin in the dark has none."""
BRIGHT = 0.95
"""The share of the face's pixels that are below that level."""
TURN = 0.35
"""How far the nose lies from the middle of the eyes and the mouth, over the distance of the eyes, from which a face is
turned to the side: about 30 degrees."""


def find_doubts(crop: NDArray[np.uint8], landmarks: Sequence[tuple[float, float]] | None = None) -> tuple[str, ...]:
    """What speaks against the picture of a face, some of :data:`DOUBTS` in their order.

    Args:
        crop: The face cut out, RGB uint8 [h, w, 3] or grey [h, w], at the scale of its picture or as
            :meth:`~cmaen.preprocessing.PreprocessSpec.reduce` leaves it.
        landmarks: Left eye, right eye, nose, left and right mouth corner, ``(x, y)`` each; ``None`` if not known.
    """
    grey = crop if crop.ndim == 2 else to_grey(crop)
    small = min(grey.shape) < LEAST_SIDE
    if min(grey.shape) > SIDE:
        grey = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    found = {
        SMALL: small,
        BLURRED: measure_detail(grey) < SHARP,
        DARK: measure_light(grey) < LIGHT,
        TURNED: landmarks is not None and measure_turn(landmarks) >= TURN,
    }
    return tuple(name for name in DOUBTS if found[name])


def measure_detail(grey: NDArray[np.uint8]) -> float:
    """The deviation of the fine detail of a face's middle over that of its grey levels, from 0 to about 0.5.

    The fine detail is what a mean of 3 x 3 pixels takes away; the middle is all but a sixth at each edge, so that hair
    and background count little.
    """
    down, across = (max(1, side // 6) for side in grey.shape)
    pixels = grey.astype(np.float64)
    detail = (pixels - cv2.blur(pixels, (3, 3)))[down:-down, across:-across]
    middle = pixels[down:-down, across:-across]
    return float(detail.std() / max(middle.std(), 1.0)) if middle.size else 0.0


def measure_light(grey: NDArray[np.uint8]) -> int:
    """The grey level that :data:`BRIGHT` of the pixels do not pass."""
    levels = np.sort(grey, axis=None)
    return int(levels[math.floor(BRIGHT * (levels.size - 1))])


def measure_turn(landmarks: Sequence[tuple[float, float]]) -> float:
    """How far the nose is to the side, over the distance of the eyes; 0 for a face that looks straight ahead.

    How far a face looks up or down is not told: the open mouth of somebody surprised moves the same landmarks.
    """
    (left_x, left_y), (right_x, right_y), (nose_x, nose_y), *mouth = landmarks
    across, down = right_x - left_x, right_y - left_y
    x = nose_x - (left_x + right_x + mouth[0][0] + mouth[1][0]) / 4
    y = nose_y - (left_y + right_y + mouth[0][1] + mouth[1][1]) / 4
    square = across * across + down * down
    return abs(x * across + y * down) / square if square > 0 else math.inf
