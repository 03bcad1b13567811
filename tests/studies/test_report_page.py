"""The report in a real browser: zooming by keys, buttons and moments; on a phone, in dark mode and in print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cmaen.studies.events import Event, Events
from cmaen.studies.report import write_report
from tests.browser import BRIGHTNESS, Open, opening
from tests.studies.films import film
from tests.web.browsing import AXE

EVIL = "<img src=x onerror=alert(1)>"
BOX = "() => { const box = document.querySelector('.lanes').viewBox.baseVal; return [box.x, box.width]; }"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reports") / "report.html"
    people = {"Ada": ("h" * 60 + "N" * 30 + " " * 10 + "s" * 50) * 4, EVIL: "n" * 300 + "u" * 300}
    recordings = [film(people, "one.mp4"), film({f"{EVIL} {n}": "h" * 90 + "a" * 110 for n in range(3)}, "two.mp4")]
    events = Events((Event("calm " + "and long " * 20, 0, 10), Event(EVIL, 10, 20), Event("", file="one", group="x")))
    write_report(recordings, path, events=events)
    return path


@pytest.fixture
def open_report(browser: Any, page_file: Path) -> Iterator[Open]:
    with opening(browser) as opened:

        def open_it(*, script: bool = True, checked: bool = False, **options: Any) -> Any:
            page = opened(page_file, java_script_enabled=script, bypass_csp=checked, **options)
            if script:
                page.wait_for_selector("body[data-ready]")
            return page

        yield open_it


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_its_window_and_its_mode(width: int, dark: bool, open_report: Open) -> None:
    page = open_report(width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground, ink = (
        page.evaluate(f"({BRIGHTNESS})(getComputedStyle(document.{of}).{what})")
        for of, what in (("documentElement", "backgroundColor"), ("body", "color"))
    )
    assert (ground < 60 < 180 < ink) if dark else (ink < 60 < 180 < ground)
    assert page.locator("img").count() == 0, "names are text"


def test_a_timeline_is_zoomed_by_keys(open_report: Open) -> None:
    page = open_report()
    view = page.locator("#r0 .view").first
    view.focus()
    whole = page.evaluate(BOX)
    assert whole[0] == 0
    assert page.locator("#r0 output").text_content() == "0:00 to 1:00"
    page.keyboard.press("+")
    page.keyboard.press("+")
    start, width = page.evaluate(BOX)
    assert width == pytest.approx(whole[1] / 4, rel=0.01)
    assert start == pytest.approx(whole[1] * 3 / 8, rel=0.01)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(BOX)[0] == pytest.approx(start - width / 2, rel=0.01)
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(BOX)[0] == 0, "it ends at the beginning"
    assert page.locator("#r0 .tools button").first.is_disabled()
    for _ in range(20):
        page.keyboard.press("+")
    assert page.evaluate(BOX)[1] == pytest.approx(20, rel=0.05), "and at twenty points"
    page.keyboard.press("0")
    assert page.evaluate(BOX) == pytest.approx(whole)


def test_all_timelines_of_a_recording_are_zoomed_together_and_no_others(open_report: Open) -> None:
    page = open_report()
    page.locator("#r0 .tools button[data-act=closer]").click()
    widths = page.evaluate(
        "[...document.querySelectorAll('.lanes')].map(s => s.viewBox.baseVal.width / s.dataset.points)"
    )
    assert widths == pytest.approx([0.5, 0.5, 1, 1, 1], abs=0.01)
    first = page.locator("#r0 .axis span").first.text_content()
    assert first == "0:15"
    assert page.locator("#r1 .axis span").first.text_content() == "0:00"
    page.locator("#r0 .tools button[data-act=all]").click()
    assert page.locator("#r0 .axis span").first.text_content() == "0:00"


def test_an_episode_is_a_button_that_shows_it(open_report: Open) -> None:
    page = open_report()
    page.locator("#r0p0 summary").click()
    page.locator("#r0p0 td button").nth(2).click()
    start, stop = (
        float(page.locator("#r0p0 td button").nth(2).get_attribute(f"data-{name}")) for name in ("start", "end")
    )
    points = int(page.locator(".lanes").first.get_attribute("data-points"))
    left, width = (each * 60 / points for each in page.evaluate(BOX))
    assert left < start < stop < left + width
    assert page.evaluate("document.activeElement.className") == "view"


def test_a_zoomed_timeline_is_dragged(open_report: Open) -> None:
    page = open_report()
    view = page.locator("#r0 .view").first
    view.scroll_into_view_if_needed()
    view.dblclick()
    before = page.evaluate(BOX)
    assert before[1] < 0.5 * int(page.locator(".lanes").first.get_attribute("data-points"))
    box = view.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 60, steps=4)
    page.mouse.up()
    assert page.evaluate(BOX)[0] == pytest.approx(before[0] + before[1] / 4, rel=0.02)


def test_it_is_whole_without_scripts(open_report: Open) -> None:
    page = open_report(script=False)
    assert page.locator(".lanes").count() == 5
    assert page.locator("#r0 .axis span").first.is_visible()
    assert page.locator(".tools").first.is_hidden()


def test_the_name_of_an_event_stays_in_sight(open_report: Open) -> None:
    page = open_report(width=390)
    page.locator("#r0 .view").first.focus()
    for key in ("+", "+", "+", *["ArrowLeft"] * 12, *["ArrowRight"] * 2):
        page.keyboard.press(key)
    calm, other = page.locator("#r0p0 .events span").all()[:2]
    assert page.locator("#r0 output").text_content() == "0:08 to 0:15"
    view = page.locator("#r0p0 .events").bounding_box()
    for event in (calm, other):
        box = event.bounding_box()
        assert box["x"] >= view["x"] - 0.5
        assert box["x"] + box["width"] <= view["x"] + view["width"] + 0.5
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert calm.is_hidden()


@pytest.mark.parametrize("dark", [False, True])
def test_it_prints_its_episodes_and_no_buttons_on_white(dark: bool, open_report: Open) -> None:
    page = open_report(dark=dark)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#r0p0 td button").first.is_visible()
    assert page.locator(".tools").first.is_hidden()
    assert page.locator("nav").is_hidden()
    assert len(page.pdf(format="A4")) > 10_000
    assert page.evaluate(f"({BRIGHTNESS})(getComputedStyle(document.body).color)") < 60
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"


def test_tables_too_wide_for_a_phone_are_scrolled_by_keys(open_report: Open) -> None:
    stops = "document.querySelectorAll('.scroll[tabindex]').length"
    page = open_report(width=320)
    page.wait_for_function(f"{stops} > 2")
    page.set_viewport_size({"width": 1600, "height": 800})
    page.wait_for_function(f"{stops} === 0")


@pytest.mark.skipif(AXE is None, reason="CMAEN_AXE does not name axe-core's axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_bars_anyone(width: int, dark: bool, open_report: Open) -> None:
    page = open_report(width=width, dark=dark, checked=True)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.wait_for_timeout(100)  # until the widths of what has opened are known
    page.add_script_tag(path=AXE)
    assert [(one["id"], one["nodes"][0]["html"]) for one in page.evaluate("axe.run()")["violations"]] == []
