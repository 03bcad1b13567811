"""Intervals: how much a figure would vary with other faces.

A fraction of right answers gets Wilson's interval (1927), which is sound even if nearly all or nearly none are right:
for 16 faces that are all answered right, it is 80.6 to 100 %. Other figures get a bootstrap interval (Efron, 1979).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
FEW = 50
"""Number of faces below which a fraction is too uncertain to compare networks, and reports say so."""


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def wilson(hits: float, count: float, *, level: float = 0.95) -> Interval:
    """Compute the score interval of a fraction, in [0, 1] (Wilson, 1927); without any faces it is all of [0, 1].

    Args:
        hits: Number of faces that are answered right.
        count: Number of faces; if they are not independent, the number of independent ones that tell as much, which
            need not be whole.
        level: Probability that such an interval contains the true fraction.

    Raises:
        ValueError: ``hits`` is negative or exceeds ``count``.
    """
    if not 0 <= hits <= count:
        raise ValueError(f"hits must be 0 to {count:g}, the number of faces, not {hits:g}")
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
    """Compute the percentile interval of a figure of ``count`` faces; for a fraction, prefer :func:`wilson`.

    Args:
        figure: Function that computes the figure for indices of faces, int64 [count], with repetitions.
        count: Number of faces.
        rng: The source of all randomness.
        level: Fraction of the resampled figures that lie within the interval.
        resamples: Number of sets drawn with replacement.
    """
    return spread([figure(rows) for rows in resample(count, rng, resamples=resamples)], level=level)


def resample(count: int, rng: np.random.Generator, *, resamples: int = RESAMPLES) -> Iterator[NDArray[np.int64]]:
    """Yield sets of faces that are drawn with replacement, as indices int64 [count]; see :func:`bootstrap`."""
    for _ in range(resamples):
        yield rng.integers(0, count, count)


def spread(figures: Sequence[float] | NDArray[np.float64], *, level: float = 0.95) -> Interval:
    """Return the interval within which so many of the figures lie, with equally many below and above it."""
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
