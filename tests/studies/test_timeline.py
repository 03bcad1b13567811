"""Timelines: what is drawn where, from one point to many."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen.studies.timeline import LANE, RIBBON, choose_points, draw_timeline, measure_height, span_of
from tests.studies.films import film

PLACES = list(range(8))


def draw(text: str, points: int) -> str:
    recording = film(text)
    return draw_timeline(recording, recording.people["Ada"], points, PLACES, "Ada")


def test_the_ribbon_shows_the_answer_of_each_point() -> None:
    drawn = draw("hhhhhsssss  nnnnnNNN", 20)
    blocks = dict(re.findall(r'<path class="(\w+)" d="((?:M\d+,0h\d+v12h-\d+z)+)"/>', drawn))
    assert blocks == {
        "e3": "M0,0h5v12h-5z",
        "e5": "M5,0h5v12h-5z",
        "e4": "M12,0h8v12h-8z",
        "veil": "M17,0h3v12h-3z",
    }


def test_a_lane_is_as_high_as_the_probability() -> None:
    lane = re.findall(r'class="e3" d="(M0,\d+[^"]*)"', draw("hhhhh     hhhhh", 15))[-1]
    low = RIBBON + 4 * (LANE + 4)
    up = round(0.8 * 16) * LANE / 16
    assert lane == f"M0,{low}v-{up:g}h5v{up:g}h5v-{up:g}h5V{low}z"


def test_many_frames_become_means() -> None:
    drawn = draw("hn" * 500, 10)
    height = re.search(r'class="e3" d="M0,\d+v-([\d.]+)h10V', drawn)
    assert height is not None
    assert float(height[1]) / LANE == pytest.approx((0.8 + 0.2 / 6) / 2, abs=0.04)


@given(st.text("hnsu? HN", min_size=1, max_size=60), st.integers(1, 90))
def test_every_lane_ends_where_the_drawing_ends(text: str, points: int) -> None:
    drawn = draw(text, points)
    assert f'viewBox="0 0 {points} {measure_height(7)}"' in drawn
    for path in re.findall(r'd="M0,\d+([^"M]*)V\d+z"', drawn):
        assert sum(map(int, re.findall(r"h(\d+)", path))) == points
    assert "nan" not in drawn


def test_pages_of_many_timelines_have_fewer_points() -> None:
    long = film("h" * 5000)
    assert choose_points(long, 1) == 2400
    assert choose_points(long, 200) == 120
    assert choose_points(long, 10_000) == 100
    assert choose_points(film("h"), 1) == 100
    assert span_of(film({})) == (0, 1)
    start, end = span_of(film("h"))
    assert end > start
    assert np.isfinite(end)
