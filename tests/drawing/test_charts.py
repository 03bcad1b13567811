from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from cmaen.drawing.charts import MOST_BARS, MOST_LANES, Counts, Lanes, choose_ticks, draw_counts, draw_timeline
from cmaen.drawing.style import colour_of
from cmaen.types import EMOTIONS


def columns(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """How many columns hold many pixels of a colour."""
    near = np.abs(np.asarray(picture).astype(int) - colour).max(axis=2) < 3
    return int((near.sum(axis=0) > 20).sum())


def test_a_bar_is_as_long_as_its_count_and_solid_where_it_is_sure() -> None:
    counts = Counts(sure={"happy": 40, "sad": 20}, unsure={"sad": 20, "fear": 40}, pictures=9)
    chart = draw_counts(counts, EMOTIONS).picture()
    happy, sad = columns(chart, colour_of("happy", EMOTIONS)), columns(chart, colour_of("sad", EMOTIONS))
    assert happy == pytest.approx(760, abs=6)
    assert sad == pytest.approx(happy / 2, abs=6)
    fear = np.abs(np.asarray(chart).astype(int) - colour_of("fear", EMOTIONS)).max(axis=2) < 3
    rows = np.flatnonzero(fear.any(axis=1))
    hatched = fear[rows[3] : rows[-3], 260:1000]
    assert 0.3 < hatched.mean() < 0.6  # lines and gaps
    assert not (np.abs(np.asarray(chart).astype(int) - colour_of("angry", EMOTIONS)).max(axis=2) < 3).any()


@pytest.mark.parametrize("count", [1, 7, 100])
def test_charts_of_any_number_of_labels(count: int) -> None:
    classes = tuple(f"label {number}" for number in range(count))
    chart = draw_counts(Counts(sure=dict.fromkeys(classes, 2), unsure={}, pictures=3, empty=1, errors=2), classes)
    assert chart.height < 200 + 60 * MOST_BARS
    nothing = draw_counts(Counts(sure={}, unsure={}, pictures=0), classes, title="Ω" * 300)
    assert nothing.height == chart.height
    assert nothing.picture().size == (1200, chart.height)


def lanes(values: np.ndarray, identity: int = 1, portrait: np.ndarray | None = None) -> Lanes:
    unsure = (values.max(axis=1) < 0.5).astype(float)
    shares = np.nanmean(values, axis=0)
    return Lanes(identity=identity, means=values, unsure=unsure, shares=shares, seconds=3.0, portrait=portrait)


def test_a_lane_is_as_high_as_the_probability_and_empty_where_nobody_is() -> None:
    values = np.full((100, 7), 0.0)
    values[:, 3] = 0.9
    values[50:, 3] = 0.1
    values[80:] = np.nan
    picture = np.asarray(draw_timeline([lanes(values)], EMOTIONS, begins=0, step=0.1).picture()).astype(int)
    red, green, blue = (round(0.38 * value + 0.62 * 255) for value in colour_of("happy", EMOTIONS))
    filled = (np.abs(picture - (red, green, blue)).max(axis=2) < 3).sum(axis=0)
    start, end = 340, 1450
    at = [filled[start + round(share * (end - start))] for share in (0.25, 0.65, 0.9)]
    assert at[0] > 25
    assert at[1] < 6
    assert at[2] == 0


def test_portraits_and_many_people_are_drawn_and_of_many_labels_the_most_frequent() -> None:
    portrait = np.full((112, 112, 3), (1, 200, 3), np.uint8)
    values = np.random.default_rng(0).dirichlet(np.ones(30), 50)
    values[0, :] = 1 / 30
    people = [lanes(values, number + 1, portrait) for number in range(12)]
    picture = draw_timeline(people, [f"label {n}" for n in range(30)], begins=0, step=60, title="a" * 300).picture()
    assert (np.asarray(picture) == (1, 200, 3)).all(axis=2).sum() == 12 * 112 * 112
    assert picture.height < 128 + 12 * (MOST_LANES * 30 + 80)


@pytest.mark.parametrize("span", [0.0, 0.05, 4.6, 59, 61, 1500, 7200, 90_000, 4e6])
@pytest.mark.parametrize("begins", [0.0, 3.3, 3600.0])
def test_ticks_are_few_round_and_within(span: float, begins: float) -> None:
    ticks = choose_ticks(begins, begins + span)
    assert len(ticks) <= 13
    assert all(begins - 1e-6 <= tick <= begins + span + 1e-6 for tick in ticks)
    if span >= 4:
        assert len(ticks) >= 3


def test_an_svg_holds_the_same() -> None:
    values = np.full((50, 2), 0.45)
    values[20:30] = np.nan
    portrait = np.zeros((112, 112, 3), np.uint8)
    for sheet in (
        draw_timeline([lanes(values, 1, portrait)], ["<a>", "b & c"], begins=0, step=0.1, title='"<&\x00é'),
        draw_counts(Counts(sure={"<a>": 3}, unsure={"b & c": 2}, pictures=4), ["<a>", "b & c"]),
    ):
        root = ElementTree.fromstring(sheet.svg())
        texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert "<a>" in texts
        assert "b & c" in texts
        names = {element.tag.rpartition("}")[2] for element in root}
        assert {"text", "polyline", "polygon"} <= names
        assert {"image", "pattern"} & names
