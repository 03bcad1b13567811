"""Of faces that lie over each other, the surest: non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def thin_out(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], *, overlap: float, most: int = 5000
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
    low, size = boxes[order, :2].astype(np.float64), boxes[order, 2:].astype(np.float64)
    high, area = low + size, size.prod(axis=1)
    left = np.arange(len(order))  # those that nothing surer lies over
    kept = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(order[first])
        sides = np.minimum(high[first], high[left]) - np.maximum(low[first], low[left])  # [n, 2]
        shared = np.clip(sides, 0, None).prod(axis=1)
        left = left[shared <= overlap * (area[first] + area[left] - shared)]
    return np.array(kept, np.intp)
