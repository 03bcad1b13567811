"""Tests of the figures of groups against plain loops, and of their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from cmaen.audit.gaps import ACCURACY, CALIBRATION, GapMeter, Share, centre, choose_bins, subtract
from cmaen.audit.permutations import Units
from cmaen.evaluation.intervals import Interval, wilson

COUNT, CLASSES, GROUPS = 90, 3, 4


def make(seed: int = 0, silent: float = 0.1) -> tuple[GapMeter, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, COUNT)
    none = rng.random(COUNT) < silent
    answers = np.where(none, CLASSES, rng.integers(0, CLASSES, COUNT))
    confidences = np.where(none, np.nan, rng.uniform(0.4, 1, COUNT))
    meter = GapMeter(labels, answers, confidences, rng.integers(0, 2, COUNT), CLASSES, 3)
    return meter, rng.integers(0, GROUPS, (5, COUNT))


@pytest.mark.parametrize("seed", range(3))
def test_gaps_are_those_of_plain_loops(seed: int) -> None:
    meter, codes = make(seed)
    gaps = meter.measure(codes, GROUPS)
    assert gaps.shape == (5, GROUPS, meter.figures)
    right = meter.labels == meter.answers
    for row in range(5):
        for group in range(GROUPS):
            ours = codes[row] == group
            for label in range(CLASSES):
                for answer in range(CLASSES + 1):
                    of_label = meter.labels == label
                    if not (ours & of_label).any():
                        continue
                    rates = [(meter.answers[part & of_label] == answer).mean() for part in (ours, ~ours)]
                    assert gaps[row, group, meter.rate(label, answer)] == pytest.approx(rates[0] - rates[1], abs=1e-6)
            excess = []
            for part in (ours, ~ours):
                cells = [
                    right[(meter.labels == meter.labels[face]) & (meter.strata == meter.strata[face])].mean()
                    for face in np.flatnonzero(part)
                ]
                excess.append(right[part].mean() - np.mean(cells))
            assert gaps[row, group, ACCURACY] == pytest.approx(excess[0] - excess[1], abs=1e-6)
            errors = [meter.calibration_error(part) for part in (ours, ~ours)]
            assert errors[0] is not None
            assert errors[1] is not None
            assert gaps[row, group, CALIBRATION] == pytest.approx(errors[0] - errors[1], abs=1e-6)


def test_the_calibration_error_is_the_one_by_hand() -> None:
    confidences = np.array([0.5, 0.6, 0.9, 0.8, np.nan])
    meter = GapMeter(np.zeros(5, int), np.array([0, 1, 0, 0, 2]), confidences, np.zeros(5, int), 2, 2)
    # the first bin: 0.55 claimed, 0.5 right; the second: 0.85 claimed, 1 right; the silent face counts for neither
    assert meter.calibration_error(np.ones(5, bool)) == pytest.approx((2 * 0.05 + 2 * 0.15) / 4)
    assert meter.calibration_error(np.array([0, 0, 0, 0, 1], bool)) is None


def test_expected_gaps_are_the_mean_of_many_permutations() -> None:
    meter, codes = make()
    for strata in (meter.strata, 3 * meter.strata + np.arange(COUNT) % 3):  # the second as if of people
        units = Units.choose(codes[0], meter.labels, strata)
        drawn = meter.measure(units.permute(20_000, np.random.default_rng(0)), GROUPS)
        expected = meter.expect(codes[0], GROUPS, units.cells)
        assert np.isnan(expected[:, CALIBRATION]).all()
        assert np.isnan(expected).sum() == GROUPS
        others = [figure for figure in range(meter.figures) if figure != CALIBRATION]
        np.testing.assert_allclose(drawn.mean(axis=0)[:, others], expected[:, others], atol=0.006)


def test_an_empty_group_has_no_gap() -> None:
    meter, codes = make()
    gaps = meter.measure(np.minimum(codes, 1), GROUPS)
    assert (gaps[:, 2:] == 0).all()
    assert np.isfinite(gaps).all()
    alone = meter.measure(np.zeros((1, COUNT), int), 1)
    assert (alone == 0).all()


def test_the_difference_of_shares_is_newcombes() -> None:
    """Newcombe, 1998, table II, column (a): 56 of 70 against 48 of 80."""
    first, second = (Share(hits / count, wilson(hits, count), count) for hits, count in ((56, 70), (48, 80)))
    assert subtract(first, second) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_faces_of_one_person_tell_less_than_those_of_many() -> None:
    right = np.repeat([1, 1, 0, 1, 0, 1], 10).astype(bool)
    meter = GapMeter(np.zeros(60, int), 1 - right.astype(int), np.full(60, 0.7), np.zeros(60, int), 2, 1)
    every = np.ones(60, bool)
    alone = meter.share(every, meter.right, None)
    together = meter.share(every, meter.right, np.repeat(np.arange(6), 10))
    assert alone.value == together.value
    assert alone.interval == wilson(40, 60)
    assert together.interval.high - together.interval.low > 2 * (alone.interval.high - alone.interval.low)
    mixed = meter.share(every, meter.right, np.tile(np.arange(10), 6))
    assert mixed.interval == pytest.approx(alone.interval)  # every person is right as often as every other


def test_a_few_people_who_are_always_right_are_not_many_faces() -> None:
    every = np.ones(60, bool)
    meter = GapMeter(np.zeros(60, int), np.zeros(60, int), np.full(60, 0.7), np.zeros(60, int), 2, 1)
    assert meter.share(every, every, np.arange(60) // 20).interval == wilson(3, 3)
    assert meter.share(every, every, np.arange(60)).interval == wilson(60, 60)
    assert meter.share(every, every, np.zeros(60, int)).interval == wilson(1, 1)
    assert meter.share(~every, every, None) == Share(0.0, Interval(0.0, 1.0), 0)


def test_bootstrap_samples_vary_more_by_person() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.integers(0, 2, 20), 15).astype(bool)
    meter = GapMeter(np.zeros(300, int), 1 - right.astype(int), np.full(300, 0.7), np.zeros(300, int), 2, 1)
    every = np.ones(300, bool)
    alone = meter.bootstrap_calibration(every, None, np.random.default_rng(0))
    together = meter.bootstrap_calibration(every, np.arange(300) // 15, np.random.default_rng(0))
    assert together.std() > 2 * alone.std()


def test_an_interval_around_a_value_ignores_the_bias_of_the_samples() -> None:
    draws = np.linspace(10, 11, 1001)
    assert centre(0.5, draws) == pytest.approx((0.025, 0.975), abs=1e-3)


def test_the_smallest_group_sets_the_bins() -> None:
    assert choose_bins([30, 1000]) == 1
    assert choose_bins([100, 1000]) == 5
    assert choose_bins([5000, 1000]) == 15
