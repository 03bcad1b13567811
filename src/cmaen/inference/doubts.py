"""Faults of a face's image, measured from its pixels and landmarks: why the network may be unsure, or should be.

Each fault is measured on its own. That it causes the uncertainty is likely, but not certain. The limits were chosen on
photographs of LFW, where hardly any good face is flagged (``examples/measure_doubts.py``,
``docs/figures/explanations.md``).

Covered faces (by a hand, a mask or glasses) are not reported. The best sign, a low score of the detector, was present
for half of the hands, a third of the masks and a twelfth of the glasses, but also for two of five noisy images.

The network is too sure of faces with little detail, whether they are blurred or far away: :func:`measure_clarity` says
by how much their confidence must fall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.preprocessing import resize, to_grey

SMALL, BLURRED, DARK, TURNED = "small", "blurred", "dark", "turned"
DOUBTS = (SMALL, BLURRED, DARK, TURNED)
"""All reasons, in the order in which they are reported."""

LEAST_SIDE = 32
"""Side of a face in pixels below which it is small: half as many cost 15 points of accuracy, these cost 4."""
SIDE = 64
"""Side in pixels to which a larger face is reduced before its sharpness and light are measured: a face that is blurred
only at full size is sharp enough for the network."""
SHARP = 0.075
"""Ratio of the contrast of the fine detail in a face's centre to its whole contrast, below which it is blurred."""
LIGHT = 80
"""Grey level that a twentieth of the face must reach; otherwise it is dark. The bright end is measured rather than the
mean, because dark skin in good light has highlights and light skin in the dark has none."""
BRIGHT = 0.95
"""Share of the face's pixels that lie below that level."""
TURN = 0.35
"""Distance of the nose from the middle of the eyes and mouth, relative to the distance between the eyes, from which a
face is turned to the side: about 30 degrees."""

CLEAR_SIDE = 48
"""Side in pixels at which a face's detail is measured for its confidence: at a common side, the detail of a small face
can be compared with that of a large one."""
CLEAR = 0.15
"""Detail from which the confidence of a face is left as it is; 19 of 20 sharp faces have more, in photographs and in
FER2013."""
LEAST_CLARITY = 0.6
"""Clarity of a face without any detail. This value and :data:`CLEAR` give small errors of calibration for blurred and
distant faces, both of FER2013 and in photographs (``examples/measure_clarity.py``)."""


def find_doubts(crop: NDArray[np.uint8], landmarks: Sequence[tuple[float, float]] | None = None) -> tuple[str, ...]:
    """Find the faults of a face's image, a selection of :data:`DOUBTS` in their order.

    Args:
        crop: Face crop, RGB uint8 [h, w, 3] or grey [h, w], at the scale of its image or as returned by
            :meth:`~cmaen.preprocessing.PreprocessSpec.reduce`.
        landmarks: Left eye, right eye, nose, left and right mouth corner, ``(x, y)`` each; ``None`` if unknown.
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


def measure_clarity(crop: NDArray[np.uint8]) -> float:
    """Measure how far the confidence in an answer must fall because the face has little detail.

    Args:
        crop: Face crop, see :func:`find_doubts`.

    Returns:
        A factor on the exponent from which the confidence is computed, see :func:`cmaen.types.certainty_of`: from 0.6
        for a face without detail to 1 for a clear one.
    """
    grey = crop if crop.ndim == 2 else to_grey(crop)
    share = min(measure_detail(resize(grey, CLEAR_SIDE)) / CLEAR, 1.0)
    return LEAST_CLARITY + (1 - LEAST_CLARITY) * share


def measure_detail(grey: NDArray[np.uint8]) -> float:
    """Measure the fine detail of a face's centre: its deviation over that of the grey levels, from 0 to about 0.5.

    The fine detail is what a mean over 3 x 3 pixels removes. The centre leaves out a sixth at each edge, so that hair
    and background count little.
    """
    down, across = (max(1, side // 6) for side in grey.shape)
    pixels = grey.astype(np.float64)
    detail = (pixels - cv2.blur(pixels, (3, 3)))[down:-down, across:-across]
    middle = pixels[down:-down, across:-across]
    return float(detail.std() / max(middle.std(), 1.0)) if middle.size else 0.0


def measure_light(grey: NDArray[np.uint8]) -> int:
    """Return the grey level that the share :data:`BRIGHT` of the pixels does not exceed."""
    levels = np.sort(grey, axis=None)
    return int(levels[math.floor(BRIGHT * (levels.size - 1))])


def measure_turn(landmarks: Sequence[tuple[float, float]]) -> float:
    """Measure how far the nose is to the side, relative to the distance of the eyes; 0 for a frontal face.

    Looking up or down is not measured, because the open mouth of a surprised face moves the same landmarks.
    """
    (left_x, left_y), (right_x, right_y), (nose_x, nose_y), *mouth = landmarks
    across, down = right_x - left_x, right_y - left_y
    x = nose_x - (left_x + right_x + mouth[0][0] + mouth[1][0]) / 4
    y = nose_y - (left_y + right_y + mouth[0][1] + mouth[1][1]) / 4
    square = across * across + down * down
    return abs(x * across + y * down) / square if square > 0 else math.inf
