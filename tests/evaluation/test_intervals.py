from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.evaluation.intervals import bootstrap, wilson


def test_all_right_of_sixteen_is_not_certain() -> None:
    low, high = wilson(16, 16)
    assert (round(low, 3), high) == (0.806, 1.0)
    low, high = wilson(0, 16)
    assert (low, round(high, 3)) == (0.0, 0.194)


def test_figures_of_the_literature() -> None:
    """Newcombe, Statistics in Medicine 17, 1998, table I."""
    for hits, count, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


def test_of_many_faces_it_is_the_bootstrap_interval() -> None:
    right = np.arange(400) < 280
    drawn = bootstrap(lambda rows: float(right[rows].mean()), 400, np.random.default_rng(0))
    assert wilson(280, 400) == pytest.approx(drawn, abs=0.01)


def test_without_faces_nothing_is_known_and_more_hits_than_faces_are_no_share() -> None:
    assert wilson(0, 0) == (0, 1)
    for hits, count in ((2, 1), (-1, 4)):
        with pytest.raises(ValueError, match="hits must be 0 to"):
            wilson(hits, count)


@given(st.integers(1, 100_000), st.data())
def test_it_holds_the_share_and_lies_in_its_range(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))
    low, high = wilson(hits, count)
    assert 0 <= low <= hits / count <= high <= 1
    assert low < high
    wide_low, wide_high = wilson(hits, count, level=0.99)
    assert wide_low <= low
    assert high <= wide_high
    mirrored = wilson(count - hits, count)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((low, high))
