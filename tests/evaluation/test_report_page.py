"""The report in a real browser: on a desktop, on a phone, and in dark mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from cmaen.evaluation.report import Report
from tests.browser import BRIGHTNESS, Open, opening


@pytest.fixture(scope="module")
def reports(full: Report, few: Report, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One with all parts, and one of sixteen faces."""
    folder = tmp_path_factory.mktemp("reports")
    names = {"full": full, "few": few}
    for name, report in names.items():
        (folder / f"{name}.html").write_text(report.page, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in names}


@pytest.fixture
def open_report(browser: Any, reports: dict[str, Path]) -> Iterator[Open]:
    with opening(browser) as opened:
        yield lambda name, **options: opened(reports[name], **options)


@pytest.mark.parametrize("name", ["full", "few"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen_and_no_table_is_cut(open_report: Open, name: str, width: int) -> None:
    page = open_report(name, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width >= 390:
        cut = "[...document.querySelectorAll('.scroll')].filter(part => part.scrollWidth > part.clientWidth).length"
        assert page.evaluate(cut) == 0


def test_the_contents_stay_in_sight_on_a_wide_screen_and_lead_to_a_part(open_report: Open) -> None:
    page = open_report("full")
    page.click("nav a[href='#mistakes']")
    page.wait_for_function("window.scrollY > 1000")
    for part in ("nav", "#mistakes"):
        box = page.locator(part).bounding_box()
        assert -1 <= box["y"] < 800, part
    phone = open_report("full", width=390)
    assert phone.locator(".verdict").bounding_box()["y"] < phone.locator("nav").bounding_box()["y"]


def test_charts_and_text_can_be_read_in_the_dark(open_report: Open) -> None:
    for dark in (False, True):
        page = open_report("full", dark=dark)
        brightness = page.evaluate(
            f"""() => {{
              const bright = {BRIGHTNESS};
              const colour = (where, key) => bright(getComputedStyle(document.querySelector(where))[key]);
              const inks = [...document.querySelectorAll('.chart svg path')].map(path => getComputedStyle(path));
              const lines = inks.map(style => style.stroke).filter(stroke => stroke.startsWith('rgb(')).map(bright);
              return {{
                ground: colour('html', 'backgroundColor'), ink: colour('body', 'color'),
                paper: colour('.chart', 'backgroundColor'), axes: lines,
              }};
            }}"""
        )
        assert (brightness["ground"] < 60) == dark
        assert (brightness["paper"] < 60) == dark
        assert (brightness["ink"] > 200) == dark
        assert brightness["axes"]
        faint = [line for line in brightness["axes"] if abs(line - brightness["paper"]) < 20]
        assert len(faint) < 0.2 * len(brightness["axes"])
