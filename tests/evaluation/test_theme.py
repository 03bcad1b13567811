from __future__ import annotations

import re

import pytest

pytest.importorskip("matplotlib")

from cmaen.drawing import PALETTE
from cmaen.evaluation import plots
from cmaen.evaluation.theme import CELL, DARK_PAPER, ON_CELL, PAPER, adapt, contrast, darken, read_style, theme


def test_the_style_of_pages_has_the_paper_of_charts() -> None:
    assert re.findall(r"--paper: (#[0-9a-f]{6});", read_style()) == [PAPER, DARK_PAPER]


def test_every_colour_of_a_chart_can_be_read_on_dark_paper() -> None:
    for name, colour in PALETTE.items():
        assert contrast(adapt(colour), DARK_PAPER) >= 4.5, name
    assert contrast(adapt(CELL), adapt(ON_CELL)) >= 4.5
    assert contrast(CELL, ON_CELL) >= 4.5
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_greys_are_turned_round() -> None:
    assert adapt("#ffffff") == DARK_PAPER
    assert adapt("#000000") == "#ffffff"


def test_a_chart_in_a_page_takes_its_colours_and_the_file_keeps_its_own() -> None:
    drawn = plots.svg(plots.confusion([[3, 1], [0, 4]], ("calm", "pleased")))
    themed = theme(drawn, "Confusion matrix")
    assert themed.startswith('<svg role="img" aria-label="Confusion matrix" fill="currentColor" ')
    assert not re.search(r": #[0-9a-f]{6}", themed)
    assert f"var(--c{CELL[1:]}, {CELL})" in themed
    assert f": {CELL}" in drawn
    assert "var(" not in drawn
    assert darken([themed])[f"--c{CELL[1:]}"] == adapt(CELL)


def test_equal_figures_are_equal_files() -> None:
    first, second = (plots.svg(plots.confusion([[3, 1], [0, 4]], ("calm", "pleased"))) for _ in range(2))
    assert first == second
