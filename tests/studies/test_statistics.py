"""Statistics of a study against figures by hand, tables and simulated truths."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from cmaen.studies import statistics
from cmaen.studies.statistics import (
    bound_difference,
    bound_mean,
    bound_share,
    choose_block,
    exchange_groups,
    find_t_quantile,
    flip_signs,
)
from tests.conftest import EXAMPLES

Simulate = Callable[[int, float, float, np.random.Generator], np.ndarray]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def alternate(monkeypatch: pytest.MonkeyPatch) -> Simulate:
    """The person of the script that measures: shows an emotion for some steps at a stretch, a share of all time."""
    monkeypatch.syspath_prepend(EXAMPLES)
    made: Simulate = importlib.import_module("measure_study").alternate
    return made


@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.7062), (2, 4.30265), (3, 3.18245), (5, 2.57058), (10, 2.22814), (30, 2.04227)]
)
def test_quantiles_of_t_are_those_of_the_tables(freedom: int, value: float) -> None:
    assert find_t_quantile(0.975, freedom) == pytest.approx(value, abs=1e-4)


def test_t_becomes_normal() -> None:
    assert find_t_quantile(0.975, 100_000) == pytest.approx(1.95996, abs=1e-4)
    assert find_t_quantile(0.5, 4) == pytest.approx(0, abs=1e-9)
    for probability, freedom in ((0.4, 3), (1.0, 3), (0.9, 0)):
        with pytest.raises(ValueError, match="degrees of freedom"):
            find_t_quantile(probability, freedom)


def test_blocks_grow_with_how_long_answers_stay(alternate: Simulate, rng: np.random.Generator) -> None:
    lengths = [np.median([choose_block(alternate(1000, 0.4, stay, rng)) for _ in range(9)]) for stay in (2, 10, 40)]
    assert lengths == sorted(lengths)
    assert lengths[0] < 12 < 30 < lengths[2]
    for still in (np.zeros(0), np.zeros(1), np.ones(50)):
        assert choose_block(still) == 1
    assert 1 <= choose_block(np.arange(30.0)) <= 10


@pytest.mark.parametrize(("share", "stay", "least"), [(0.3, 3, 0.93), (0.3, 10, 0.91), (0.1, 5, 0.91)])
def test_intervals_of_a_share_hold_the_truth(
    share: float, stay: float, least: float, alternate: Simulate, rng: np.random.Generator
) -> None:
    """95 % is meant, and reached with blocks; moments that are taken for independent reach 40 to 75 %."""
    inside, naive = 0, 0
    for _ in range(150):
        series = alternate(600, share, stay, rng)
        interval = bound_share(series, np.ones(600), choose_block(series))
        inside += interval is not None and interval.low <= share <= interval.high
        alone = bound_share(series, np.ones(600), 1)
        naive += alone is not None and alone.low <= share <= alone.high
    assert least <= inside / 150 <= 0.99
    assert naive < inside


def test_a_share_that_was_never_seen_still_has_a_width() -> None:
    never, always = bound_share(np.zeros(100), np.ones(100), 5), bound_share(np.ones(100), np.ones(100), 5)
    assert never is not None
    assert always is not None
    assert never.low == 0
    assert 0.1 < never.high < 0.3
    assert (always.low, always.high) == (pytest.approx(1 - never.high), 1.0)
    five = bound_share(np.zeros(100), np.ones(100), 20)
    assert five == (0, pytest.approx(2.7764**2 / (5 + 2.7764**2), abs=1e-3)), "t of four degrees of freedom"
    assert bound_share(np.zeros(100), np.ones(100), 30) is None, "three blocks are too few"
    assert bound_share(np.zeros(10), np.zeros(10), 1) is None, "nobody was seen"


def test_independent_moments_give_wilsons_interval(rng: np.random.Generator) -> None:
    series = (rng.random(4000) < 0.25).astype(float)
    interval = bound_share(series, np.ones(4000), 1)
    half = 1.96 * math.sqrt(series.mean() * (1 - series.mean()) / 4000)
    assert interval == pytest.approx((series.mean() - half, series.mean() + half), abs=0.002)


@pytest.mark.parametrize("people", [6, 9, 15])
def test_intervals_of_a_mean_hold_the_truth(people: int, rng: np.random.Generator) -> None:
    inside = 0
    for _ in range(200):
        interval = bound_mean(rng.normal(0.5, 0.1, people), rng)
        inside += interval is not None and interval.low <= 0.5 <= interval.high
    assert 0.9 <= inside / 200 <= 0.99


def test_few_or_equal_people_have_no_interval(rng: np.random.Generator) -> None:
    assert bound_mean(np.arange(5) / 5, rng) is None
    assert bound_mean(np.arange(6) / 6, rng) is not None
    assert bound_mean(np.full(9, 0.2), rng) is None
    assert bound_difference(np.arange(5) / 5, np.arange(9) / 9, rng) is None
    low, high = bound_difference(np.arange(9) / 9, 1 + np.arange(9) / 9, rng) or (0, 0)
    assert 0.5 < low < 1 < high < 1.5


def test_a_large_study_is_resampled_in_parts(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_AT_ONCE", 1000)
    low, high = bound_mean(rng.normal(0, 1, 400), rng) or (0, 0)
    assert low < high
    assert 0.15 < high - low < 0.25


def test_signs_are_flipped_by_hand(rng: np.random.Generator) -> None:
    test = flip_signs(np.array([1.0, 2.0, 4.0]), rng)
    assert test == (pytest.approx(7 / 3), 2 / 8, 2 / 8, True)
    values = np.array([0.3, -0.1, 0.2, 0.25, 0.05])
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, values, strict=True)))
        for signs in product((1, -1), repeat=5)
    ]
    assert flip_signs(values, rng).p_value == sum(one >= values.sum() - 1e-12 for one in sums) / 32
    assert flip_signs(np.zeros(6), rng).p_value == 1
    assert flip_signs(np.full(6, 0.1), rng).p_value == 2 / 64
    with pytest.raises(ValueError, match="person"):
        flip_signs(np.zeros(0), rng)


def test_many_people_have_signs_drawn_at_random(rng: np.random.Generator) -> None:
    values = rng.normal(0.35, 1, 30)
    test = flip_signs(values, rng)
    assert not test.exact
    assert test.smallest == 1 / 10_000
    normal = math.erfc(abs(values.mean()) / math.sqrt(np.mean(values**2) / 30) / math.sqrt(2))
    assert test.p_value == pytest.approx(normal, abs=0.02)
    assert flip_signs(np.ones(40), rng).p_value == 1 / 10_000


@pytest.mark.parametrize("people", [6, 9, 20])
def test_no_more_than_one_null_in_twenty_is_called_significant(people: int, rng: np.random.Generator) -> None:
    """Differences of heavy tails, but symmetric, as the test assumes."""
    found = [flip_signs(rng.standard_t(2, people), rng).p_value <= 0.05 for _ in range(400)]
    assert np.mean(found) <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / 400)
    assert np.mean(found) > 0, "it is no test that never finds anything"


def test_groups_are_exchanged_by_hand(rng: np.random.Generator) -> None:
    assert exchange_groups(np.array([1.0, 2.0]), np.array([3.0, 4.0]), rng) == (2.0, 2 / 6, 2 / 6, True)
    assert exchange_groups(np.array([1.0]), np.array([2.0, 3.0, 4.0]), rng) == (2.0, 2 / 4, 2 / 4, True)
    assert exchange_groups(np.array([0.0]), np.array([2.0, 3.0, 3.0]), rng).p_value == 1 / 4
    assert flip_signs(np.array([0.0, 0.0, 1.0, 2.0]), rng).smallest == 2 * 4 / 16
    assert flip_signs(np.zeros(40), rng).smallest == exchange_groups(np.ones(5), np.ones(5), rng).smallest == 1
    assert exchange_groups(np.ones(5), np.ones(4), rng).p_value == 1
    with pytest.raises(ValueError, match="group"):
        exchange_groups(np.ones(3), np.ones(0), rng)


@pytest.mark.parametrize(("first", "second"), [(4, 4), (5, 9), (15, 15)])
def test_groups_of_no_difference_are_rarely_told_apart(first: int, second: int, rng: np.random.Generator) -> None:
    found = [exchange_groups(rng.gamma(1, 1, first), rng.gamma(1, 1, second), rng).p_value <= 0.05 for _ in range(300)]
    assert 0 < np.mean(found) <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / 300)
    assert exchange_groups(np.arange(first) * 0.1, 9 + np.arange(second) * 0.1, rng).p_value <= 0.05
