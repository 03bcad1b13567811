"""The page of an audit in a real browser: on a desktop, on a phone, and in dark mode."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmaen.audit.auditor import audit
from cmaen.audit.page import describe_origin, write_page
from tests.audit.simulated import alternate, simulate
from tests.browser import BRIGHTNESS, Open, opening

LONG = "a group with a very long name, which nobody can shorten, from " + "somewhere" * 8


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    groups = [LONG if letter == "b" else letter for letter in alternate(300, 300, 40, 5)]
    given = simulate(groups, less={LONG: 0.25}, age=np.tile(["1", "2", "3", "4", "5"], 129).tolist())
    found = audit(given, ["group", "age"], intersections=True, permutations=999)
    path = tmp_path_factory.mktemp("audit") / "audit.html"
    path.write_text(write_page(found, describe_origin(Path("faces.csv"), ["cmaen", "audit"])), encoding="utf-8")
    return path


@pytest.fixture
def open_page(browser: Any, place: Path) -> Iterator[Open]:
    with opening(browser) as opened:
        yield partial(opened, place)


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(open_page: Open, width: int) -> None:
    page = open_page(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    summary = page.locator("summary").first
    summary.click()
    assert page.locator("details table").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_contents_lead_to_every_column(open_page: Open) -> None:
    page = open_page()
    for target in ("#column-3", "#method"):
        page.click(f"nav a[href='{target}']")
        page.wait_for_function(f"document.querySelector('{target}').getBoundingClientRect().top < 800")


def test_text_and_charts_can_be_told_from_the_ground(open_page: Open) -> None:
    for dark in (False, True):
        page = open_page(dark=dark)
        colours = page.evaluate(
            f"""() => {{
              const bright = {BRIGHTNESS};
              const colour = (where, key) => bright(getComputedStyle(document.querySelector(where))[key]);
              return {{
                ground: colour('html', 'backgroundColor'), ink: colour('body', 'color'), note: colour('.note', 'color'),
                value: colour('.value', 'fill'), reach: colour('.reach', 'fill'), rail: colour('.rail', 'fill'),
              }};
            }}"""
        )
        assert (colours["ground"] < 60) == dark
        for name in ("ink", "note", "value"):
            assert abs(colours[name] - colours["ground"]) > 90, name
        assert abs(colours["value"] - colours["reach"]) > 40
        assert abs(colours["reach"] - colours["rail"]) > 25
