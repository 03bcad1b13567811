"""Tests of the correction for many tests."""

import numpy as np
import pytest

from cmaen.evaluation.significance import adjust_for_many


def test_holm_by_hand():
    np.testing.assert_allclose(adjust_for_many([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_one_test_is_not_corrected_and_none_is_no_error():
    assert adjust_for_many([0.2]).tolist() == [0.2]
    assert adjust_for_many([]).tolist() == []


def test_nothing_is_found_by_chance_more_often_than_the_level():
    nulls = np.random.default_rng(0).uniform(size=(4000, 10))
    assert np.mean([adjust_for_many(row).min() <= 0.05 for row in nulls]) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(value):
    with pytest.raises(ValueError, match="p-values"):
        adjust_for_many([0.5, value])
