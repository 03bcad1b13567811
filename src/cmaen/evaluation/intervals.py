"""Bootstrap intervals: how far a figure would move with other faces (Efron, 1979)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000


class Interval(NamedTuple):
    """The ends of a percentile interval."""

    low: float
    high: float


def bootstrap(
    figure: Callable[[NDArray[np.int64]], float],
    count: int,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """The percentile interval of a figure of ``count`` faces.

    Args:
        figure: Of the faces at these indices, int64 [count], some more than once.
        count: How many faces there are.
        rng: The source of all randomness.
        level: Part of the resampled figures that lies within.
        resamples: How many sets are drawn with replacement.
    """
    figures = [figure(rng.integers(0, count, count)) for _ in range(resamples)]
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
