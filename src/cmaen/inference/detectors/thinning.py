"""Of faces that lie over each other, the surest: non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 5000
"""Of the surest boxes, so many are looked at."""


def thin_out(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], *, overlap: float, most: int = MOST
) -> NDArray[np.intp]:
    """Which boxes stay: none lies more than so far over one that is surer and stays.

    Args:
        boxes: x, y, width and height, finite, [N, 4].
        scores: How sure the detector is of each, [N].
        overlap: Intersection over union, 0 to 1.
        most: So many of the surest are looked at.

    Returns:
        Their numbers [M], the surest first; of equals the one that came first.
    """
    order = np.argsort(-scores, kind="stable")[:most]
    left, top, width, height = boxes[order].astype(np.float64).T  # [n] each
    right, bottom, area = left + width, top + height, width * height
    free = np.ones(len(order), bool)  # those that nothing surer lies over
    for one in range(len(order)):
        if free[one]:
            rest = slice(one + 1, None)
            across = np.minimum(right[one], right[rest]) - np.maximum(left[one], left[rest])
            down = np.minimum(bottom[one], bottom[rest]) - np.maximum(top[one], top[rest])
            shared = np.maximum(across, 0) * np.maximum(down, 0)
            free[rest] &= shared <= overlap * (area[one] + area[rest] - shared)
    return order[free]
