"""Non-maximum suppression: of overlapping faces, the one with the highest score is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 5000
"""Maximum number of boxes considered, those with the highest scores."""


def thin_out(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], *, overlap: float, most: int = MOST
) -> NDArray[np.intp]:
    """Choose the boxes to keep: none overlaps a kept box with a higher score by more than ``overlap``.

    Args:
        boxes: x, y, width and height, finite, [N, 4].
        scores: Score of each box, [N].
        overlap: Intersection over union, 0 to 1.
        most: Maximum number of boxes considered, those with the highest scores.

    Returns:
        Indices of the kept boxes [M], the highest score first; equal scores keep their order.
    """
    order = np.argsort(-scores, kind="stable")[:most]
    left, top, width, height = boxes[order].astype(np.float64).T  # [n] each
    right, bottom, area = left + width, top + height, width * height
    free = np.ones(len(order), bool)  # boxes that overlap none with a higher score
    for one in range(len(order)):
        if free[one]:
            rest = slice(one + 1, None)
            across = np.minimum(right[one], right[rest]) - np.maximum(left[one], left[rest])
            down = np.minimum(bottom[one], bottom[rest]) - np.maximum(top[one], top[rest])
            shared = np.maximum(across, 0) * np.maximum(down, 0)
            free[rest] &= shared <= overlap * (area[one] + area[rest] - shared)
    return order[free]
