"""Intervals: how far a figure would move with other faces.

A share of right answers gets Wilson's interval (1927), which is honest where nearly all or nearly none are right: of 16
faces that are all answered right it says 80.6 to 100 %. Any other figure gets a bootstrap interval (Efron, 1979).
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
FEW = 50
"""Of fewer faces a share is too uncertain to tell one network from another, and that is said."""


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def wilson(hits: int, count: int, *, level: float = 0.95) -> Interval:
    """The score interval of a share, in [0, 1] (Wilson, 1927); without any faces it is all of [0, 1].

    Args:
        hits: How many of the faces are answered right.
        count: How many faces there are.
        level: How often such an interval holds the true share.

    Raises:
        ValueError: There are more hits than faces, or fewer than none.
    """
    if not 0 <= hits <= count:
        raise ValueError(f"{hits} hits of {count} faces are not a share")
    if not count:
        return Interval(0.0, 1.0)
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    middle = hits + z2 / 2
    reach = (z2 * (hits * (count - hits) / count + z2 / 4)) ** 0.5
    low, high = (middle - reach) / (count + z2), (middle + reach) / (count + z2)
    return Interval(0.0 if hits == 0 else low, 1.0 if hits == count else high)


def bootstrap(
    figure: Callable[[NDArray[np.int64]], float],
    count: int,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """The percentile interval of a figure of ``count`` faces; for a share, :func:`wilson` is the honest one.

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
