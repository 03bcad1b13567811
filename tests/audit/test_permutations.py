"""Tests of permuting groups, and of what is inferred from it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from cmaen.audit.permutations import Units, judge_gaps, permute_gaps
from cmaen.errors import DataError

ZEROS = np.zeros(12, np.int64)
CODES = np.array([0, 0, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1])
LABELS = np.repeat([0, 1, 2], 4)


def test_groups_change_places_among_faces_with_the_same_label_and_stratum_only() -> None:
    strata = np.tile([0, 1], 6)
    units = Units.choose(CODES, LABELS, strata)
    drawn = units.permute(200, np.random.default_rng(0))
    assert units.design == "faces"
    assert drawn.shape == (200, 12)
    assert len(np.unique(drawn, axis=0)) > 1
    for label in range(3):
        for stratum in range(2):
            cell = (label == LABELS) & (strata == stratum)
            assert (np.sort(drawn[:, cell], axis=1) == np.sort(CODES[cell])).all()


def test_people_keep_their_faces() -> None:
    people = np.array([0, 0, 0, 1, 1, 1, 2, 3, 2, 3, 3, 3])
    units = Units.choose(CODES, LABELS, ZEROS, people)
    drawn = units.permute(100, np.random.default_rng(0))
    assert units.design == "people"
    for person in range(4):
        assert (drawn[:, people == person] == drawn[:, people == person][:, :1]).all()
    assert {tuple(row) for row in drawn[:, [0, 3, 6, 7]].tolist()} == {
        *((0, 1, 0, 1), (0, 1, 1, 0), (1, 0, 0, 1), (1, 0, 1, 0), (0, 0, 1, 1), (1, 1, 0, 0))
    }


def test_people_with_one_label_each_change_places_within_it() -> None:
    people = np.arange(12) // 2
    codes = np.array([0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1])
    drawn = Units.choose(codes, LABELS, ZEROS, people).permute(100, np.random.default_rng(0))
    assert (drawn[:, 8:] == 1).all()  # both people of the third label are in the second group


def test_people_in_several_groups_are_compared_with_themselves() -> None:
    people = np.repeat([0, 1, 2], 4)
    codes = np.tile([0, 1], 6)
    units = Units.choose(codes, ZEROS, ZEROS, people)
    drawn = units.permute(50, np.random.default_rng(0))
    assert units.design == "within people"
    assert (drawn.reshape(50, 3, 4).sum(axis=2) == 2).all()


def test_a_stray_face_in_another_group_does_not_change_the_design() -> None:
    people = np.repeat(np.arange(6), 2)
    codes = np.repeat([0, 1, 0, 1, 0, 1], 2)
    codes[0] = 1
    assert Units.choose(codes, ZEROS, ZEROS, people).design == "people"


def test_the_p_value_is_that_of_all_permutations() -> None:
    """Of the 70 ways to choose four of eight faces, two separate the right answers from the wrong ones."""
    right = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    codes = np.array([0, 0, 0, 0, 1, 1, 1, 1])

    def measure(drawn: np.ndarray) -> np.ndarray:
        first = (right * (drawn == 0)).sum(axis=1) / 4 - (right * (drawn == 1)).sum(axis=1) / 4
        return np.stack([first, -first], axis=1)[..., None].astype(np.float32)

    units = Units.choose(codes, ZEROS[:8], ZEROS[:8])
    gaps = permute_gaps(measure, units, permutations=20_000, rng=np.random.default_rng(0))
    outcome = judge_gaps(gaps, np.ones((2, 1), bool))
    assert gaps.shape == (20_001, 2, 1)
    assert outcome is not None
    assert outcome.p == pytest.approx(2 / 70, abs=0.004)
    assert outcome.gap == 1


def test_gaps_that_would_fill_the_memory_are_refused() -> None:
    units = Units.choose(CODES, LABELS, ZEROS)
    gaps = np.zeros((1, 50, 1000), np.float32)
    with pytest.raises(DataError, match="use at most 3,999 permutations"):
        permute_gaps(lambda _: gaps, units, permutations=10_000, rng=np.random.default_rng(0))


def test_a_gap_that_cannot_vary_is_not_tested() -> None:
    assert judge_gaps(np.ones((100, 2, 3), np.float32), np.ones((2, 3), bool)) is None


def test_only_the_gaps_of_the_test_are_looked_at() -> None:
    gaps = np.random.default_rng(0).normal(size=(1000, 2, 3)).astype(np.float32)
    gaps[0] = [[0, 9, 0], [0, 0, 0.1]]
    among = np.zeros((2, 3), bool)
    among[:, 2] = True
    outcome = judge_gaps(gaps, among)
    assert outcome is not None
    assert (outcome.group, outcome.figure) in ((0, 2), (1, 2))
    assert outcome.p > 0.5
    among[0, 1] = True
    outcome = judge_gaps(gaps, among)
    assert outcome is not None
    assert (outcome.group, outcome.figure) == (0, 1)
    assert outcome.p == pytest.approx(1 / 1000)


def test_p_values_are_uniform_where_there_is_nothing() -> None:
    rng = np.random.default_rng(1)
    gaps = rng.normal(size=(2000, 200, 3, 1)).astype(np.float32)
    values = [judge_gaps(gaps[:, number], np.ones((3, 1), bool)) for number in range(200)]
    found = Counter(outcome is not None and outcome.p <= 0.1 for outcome in values)
    assert 8 <= found[True] <= 33
