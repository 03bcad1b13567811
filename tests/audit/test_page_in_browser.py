"""The page of an audit in a real browser: on a desktop, on a phone, and in dark mode."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmaen.audit.auditor import audit
from cmaen.audit.page import describe_origin, write_page
from tests.audit.simulated import alternate, simulate
from tests.web.browsing import FLAGS, PATIENCE

BRIGHTNESS = "rgb => { const [r, g, b] = rgb.match(/[0-9.]+/g).map(Number); return 0.3 * r + 0.6 * g + 0.1 * b }"
LONG = "a group with a very long name, which nobody can shorten, from " + "somewhere" * 8
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    groups = [LONG if letter == "b" else letter for letter in alternate(300, 300, 40, 5)]
    given = simulate(groups, less={LONG: 0.25}, age=np.tile(["1", "2", "3", "4", "5"], 129).tolist())
    found = audit(given, ["group", "age"], intersections=True, permutations=999)
    path = tmp_path_factory.mktemp("audit") / "audit.html"
    path.write_text(write_page(found, describe_origin(Path("faces.csv"), ["cmaen", "audit"])), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="it needs Playwright: pip install playwright")
    program = os.environ.get("CMAEN_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("it needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any, place: Path) -> Iterator[Open]:
    """Opens the page; at the end, nothing may have been fetched or complained of."""
    contexts, asked, complaints = [], [], []

    def opened(*, width: int = 1280, dark: bool = False) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
        page.goto(place.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith("file:")} == set()
    assert complaints == []


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
