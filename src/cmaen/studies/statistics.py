"""Statistics of a study: shares of time with intervals, means over people with intervals, and permutation tests.

The interval of one person's share of time follows from blocks of time (Künsch, 1989), because neighbouring moments are
nearly the same. Means of several people get an interval by resampling people, never frames: a hundred frames of one
person say nothing about another.
"""

from __future__ import annotations

import math
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.evaluation.intervals import Interval

RESAMPLES = 5000
"""Sets of people that are drawn for an interval."""
MOST_EXACT = 1 << 14
"""Number of permutations up to which a test looks at all of them."""
DRAWN = 9999
"""Number of permutations that are drawn at random where there are more."""
LEAST_BLOCKS = 5
"""Number of blocks of time below which a recording is too short for an interval."""
MOST_MOMENTS = 2.0
"""Number of independent moments that a block of time is worth at most: a variance that is smaller than that is mostly
one of a few short episodes. With it, the intervals hold the truth in 95 of 100 recordings
(``examples/measure_study.py``)."""
LEAST_PEOPLE = 6
"""Number of people below which a mean gets no interval: means of so few, drawn with replacement, cannot lie outside
their range, which does not hold the true mean in 95 of 100 studies."""
_LEVEL = 0.95
_AT_ONCE = 1_000_000
"""Number of draws that are held in memory."""
_CLOSE = 1e-9
"""Relative difference below which two figures of a permutation count as equal."""


class Permutation(NamedTuple):
    """The result of a permutation test.

    Attributes:
        difference: Observed mean difference.
        p_value: Fraction of the permutations whose difference is at least as far from 0, in (0, 1].
        smallest: Smallest p-value of any permutation: what these people could give at best. It does not depend on what
            was observed, so that a test can be left out for it before its result is known.
        exact: Whether all permutations were looked at; otherwise :data:`DRAWN` were drawn at random.
    """

    difference: float
    p_value: float
    smallest: float
    exact: bool


def choose_block(series: NDArray[np.float64]) -> int:
    """Choose the length of the blocks of a stationary series, in steps (Politis and White, 2004, corrected 2009).

    Args:
        series: Values at equal steps of time, float64 [N].

    Returns:
        The length that gives the variance of a mean with the least error, from 1 to a third of N.
    """
    count = len(series)
    centred = series - series.mean() if count else series
    if count < 4 or not centred.any():
        return 1
    near = max(5, math.ceil(math.log10(count)))
    most = min(count - 1, math.ceil(math.sqrt(count)) + near)
    spectrum = np.abs(np.fft.rfft(centred, 2 * count)) ** 2
    covariances = np.fft.irfft(spectrum)[: most + 1] / count
    large = np.abs(covariances[1:]) > 2 * math.sqrt(math.log10(count) / count) * covariances[0]
    last = _find_last(large, near)
    lags = np.arange(-min(2 * last, most), min(2 * last, most) + 1)
    taper = np.clip(2 * (1 - np.abs(lags) / max(2 * last, 1)), 0, 1)
    weighted = taper * covariances[np.abs(lags)]
    spread, level = float(np.sum(np.abs(lags) * weighted)), float(np.sum(weighted))
    if level <= 0:
        return 1
    length = (1.5 * (spread / level) ** 2 * count) ** (1 / 3)
    return int(max(1, min(math.ceil(length), count // 3)))


def _find_last(large: NDArray[np.bool_], near: int) -> int:
    """Find the lag after which ``near`` correlations in a row are small; the last large one if there is none."""
    for lag in range(len(large) - near + 1):
        if not large[lag : lag + near].any():
            return max(lag, 1)
    return int(np.flatnonzero(large)[-1]) + 1 if large.any() else 1


def bound_share(shown: NDArray[np.float64], seen: NDArray[np.float64], block: int) -> Interval | None:
    """Compute the 95 % interval of a share of one person's time, in [0, 1].

    The variance is that of the circular block bootstrap (Politis and Romano, 1992), computed instead of drawn. It says
    how many independent moments the recording is worth, and these give Wilson's interval, so that an emotion that was
    never shown does not get an interval of no width. The interval says how much the share would vary in other
    recordings of this person in the same situation and of the same length; it says nothing about other people.

    Args:
        shown: Seconds in each bin of time in which the emotion was shown, float64 [B].
        seen: Seconds in each bin in which the person was seen, float64 [B].
        block: Length of a block in bins, see :func:`choose_block`.

    Returns:
        The interval; ``None`` if the time seen is shorter than :data:`LEAST_BLOCKS` blocks.
    """
    count, total = len(seen), float(seen.sum())
    if not total or not seen.max():
        return None
    blocks = total / (block * float(seen.max()))
    if blocks < LEAST_BLOCKS:
        return None
    share = min(max(float(shown.sum()) / total, 0.0), 1.0)
    residuals = shown - share * seen  # [B]
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([residuals, residuals[: block - 1]]))])
    of_blocks = sums[block:] - sums[:-block]  # [B]: the sum of each block, those at the end go on at the beginning
    variance = count / block * float(np.mean(of_blocks**2)) / total**2 / (1 - block / count)
    moments = min(share * (1 - share) / variance, MOST_MOMENTS * blocks) if variance > 0 else blocks
    reach = find_t_quantile((1 + _LEVEL) / 2, math.floor(blocks) - 1)
    return _bound_by_score(share, max(moments, 1.0), reach)


def _bound_by_score(share: float, count: float, reach: float) -> Interval:
    """Compute Wilson's interval of a share of ``count`` independent moments, which need not be whole."""
    square = reach * reach
    middle = count * share + square / 2
    half = reach * math.sqrt(count * share * (1 - share) + square / 4)
    low, high = (middle - half) / (count + square), (middle + half) / (count + square)
    return Interval(0.0 if share == 0 else max(low, 0.0), 1.0 if share == 1 else min(high, 1.0))


def bound_mean(values: NDArray[np.float64], rng: np.random.Generator) -> Interval | None:
    """Compute the 95 % interval of a mean over people by resampling people.

    It is the percentile interval, widened for few people as Student's t would be (Hesterberg, 2015).

    Args:
        values: A value for each person, float64 [N].
        rng: The source of all randomness.

    Returns:
        The interval; ``None`` for fewer than :data:`LEAST_PEOPLE` people, or if all values are the same.
    """
    count = len(values)
    if count < LEAST_PEOPLE or not np.ptp(values):
        return None
    return _bound(_resample(values, rng), count)


def bound_difference(
    first: NDArray[np.float64], second: NDArray[np.float64], rng: np.random.Generator
) -> Interval | None:
    """Compute the 95 % interval of the difference of two groups' means, the second less the first.

    Both groups are resampled, and the interval is widened as in :func:`bound_mean` for the smaller one.

    Args:
        first, second: A value for each person, float64 [N] and float64 [M].
        rng: The source of all randomness.
    """
    fewest = min(len(first), len(second))
    if fewest < LEAST_PEOPLE or not (np.ptp(first) or np.ptp(second)):
        return None
    return _bound(_resample(second, rng) - _resample(first, rng), fewest)


def _resample(values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Compute the means of people drawn with replacement, float64 [:data:`RESAMPLES`]."""
    count = len(values)
    step = max(1, _AT_ONCE // count)
    parts = (min(step, RESAMPLES - done) for done in range(0, RESAMPLES, step))
    return np.concatenate([values[rng.integers(0, count, (part, count))].mean(axis=1) for part in parts])


def _bound(means: NDArray[np.float64], people: int) -> Interval:
    """Compute the percentile interval of resampled means, widened for a number of people."""
    widened = math.sqrt(people / (people - 1)) * find_t_quantile((1 + _LEVEL) / 2, people - 1)
    outside = NormalDist().cdf(-widened)
    low, high = np.quantile(means, [outside, 1 - outside])
    return Interval(float(low), float(high))


def flip_signs(differences: NDArray[np.float64], rng: np.random.Generator) -> Permutation:
    """Test whether people differ between two conditions, by flipping the signs of their differences.

    If the conditions do not differ, each person's difference could as well have had the other sign. The test looks at
    all signs, or at some drawn at random if there are many people. It assumes that people are independent, and that
    under this hypothesis a person's difference is as likely above 0 as equally far below it, which is so if the order
    of the conditions was drawn by lot.

    Args:
        differences: Each person's value in the second condition less that in the first, float64 [N].
        rng: The source of all randomness.

    Raises:
        ValueError: There are no people.
    """
    count = len(differences)
    if not count:
        raise ValueError("a test needs at least one person")
    exact = count < MOST_EXACT.bit_length()
    if exact:
        numbers = np.arange(2**count)  # [P]
        signs = 1 - 2 * (numbers[:, None] >> np.arange(count) & 1)  # [P] -> [P, N]
    else:
        signs = rng.choice(np.array([-1, 1]), (DRAWN, count))  # [P, N]
    return _conclude(float(differences.mean()), signs @ differences / count, exact)


def exchange_groups(first: NDArray[np.float64], second: NDArray[np.float64], rng: np.random.Generator) -> Permutation:
    """Test whether two groups of different people differ, by exchanging people between them.

    If the groups do not differ, each person could as well have been in the other one. It assumes that people are
    independent. Groups of equal means that vary differently can also be told apart by it, above all if one is larger.

    Args:
        first, second: A value for each person, float64 [N] and float64 [M].
        rng: The source of all randomness.

    Raises:
        ValueError: A group has no people.
    """
    if not len(first) or not len(second):
        raise ValueError("a test needs at least one person in each group")
    everyone = np.concatenate([first, second])
    few, count = len(first), len(everyone)
    ways = math.comb(count, few)
    exact = ways <= MOST_EXACT
    if exact:
        chosen = np.array(list(combinations(range(count), few)))  # [P, N]
    else:
        chosen = np.argsort(rng.random((DRAWN, count)), axis=1)[:, :few]  # [P, N + M] -> [P, N]
    sums = everyone[chosen].sum(axis=1)  # [P]
    differences = (everyone.sum() - sums) / len(second) - sums / few
    return _conclude(float(second.mean() - first.mean()), differences, exact)


def _conclude(observed: float, permuted: NDArray[np.float64], exact: bool) -> Permutation:
    """Count the permutations that are as far from 0 as what was observed, and those that are farthest."""
    farthest = max(float(np.abs(permuted).max()), abs(observed))
    as_far, ends = (
        int(np.sum(np.abs(permuted) >= (1 - _CLOSE) * limit)) for limit in (abs(observed) - _CLOSE * farthest, farthest)
    )
    if exact:
        return Permutation(observed, as_far / len(permuted), ends / len(permuted), exact)
    smallest = 1 / (DRAWN + 1) if farthest else 1.0
    return Permutation(observed, (as_far + 1) / (DRAWN + 1), smallest, exact)


def find_t_quantile(probability: float, freedom: int) -> float:
    """Find a quantile of Student's t distribution, by bisection of its distribution function.

    Args:
        probability: Probability below the quantile, in [0.5, 1).
        freedom: Degrees of freedom, at least 1.

    Raises:
        ValueError: A value is out of its range.
    """
    if not 0.5 <= probability < 1 or freedom < 1:
        raise ValueError(f"no quantile of t for the probability {probability} and {freedom} degrees of freedom")
    if freedom > 1000:
        return NormalDist().inv_cdf(probability)
    low, high = 0.0, math.pi / 2  # as angles, atan(t / sqrt(freedom))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _find_t_share(middle, freedom) < 2 * probability - 1 else (low, middle)
    return math.tan((low + high) / 2) * math.sqrt(freedom)


def _find_t_share(angle: float, freedom: int) -> float:
    """Compute the share of Student's t between both signs of an angle (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    square = math.cos(angle) ** 2
    odd = freedom % 2
    term = total = (math.cos(angle) if odd else 1.0) if freedom > 1 else 0.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= square * (step - 1) / step
        total += term
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
