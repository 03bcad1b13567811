"""The page of ``cmaen serve`` in a real browser; see ``browsing`` for what it needs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cmaen.images.reader import read_image
from cmaen.inference.predictor import EmotionPredictor
from cmaen.types import EMOTIONS
from tests.web.browsing import (
    ASTRONAUT,
    AXE,
    Open,
    answered,
    count_answers,
    saved,
    serving,
    until,
    wait_until_nothing_moves,
)


def test_a_photo_with_one_click(open_page: Open) -> None:
    page = open_page()
    page.click("#try-example")
    outline = answered(page)
    assert outline.get_attribute("aria-label").startswith(("Face 1: happy 9", "Face 1: happy 100"))
    assert page.locator(".bars li").count() == len(EMOTIONS)
    assert page.inner_text(".bars .most .name") == "happy"
    assert "happy" in page.inner_text("#announce")
    outline.hover()
    assert page.locator(".card.pointed").count() == 1
    outline.click()
    assert page.get_attribute(".card .head", "aria-pressed") == "true"
    page.hover(".card")
    assert page.locator(".outline.pointed").count() == 1


def test_results_are_saved_as_the_package_writes_them(open_page: Open) -> None:
    page = open_page()
    page.set_input_files("#photo-files", [ASTRONAUT])
    answered(page)
    (record,) = json.loads(saved(page, "#save-json").read_text())
    expected = EmotionPredictor().predict_single(ASTRONAUT)
    assert {**record, "path": None} == {"path": None, **expected}
    with saved(page, "#save-csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == "astronaut.png"
    assert [float(row[name]) for name in EMOTIONS] == list(expected["probabilities"].values())
    drawn = read_image(saved(page, "#save-png"))
    original = read_image(ASTRONAUT)
    assert drawn.shape == original.shape
    changed = (drawn != original).any(axis=2)
    x, y, width, height = (round(value) for value in record["faces"][0]["box"])
    assert changed[y - 3 : y + 4, x + width // 2].any()
    assert not changed[y + height + 30 :].any()


def test_a_bad_file_costs_no_other(open_page: Open, tmp_path: Path) -> None:
    astronaut = cv2.imread(str(ASTRONAUT))
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 300, 3), 120, np.uint8))
    (tmp_path / "broken.jpg").write_bytes(cv2.imencode(".jpg", astronaut)[1].tobytes()[:2000])
    (tmp_path / "notes.png").write_text("no picture")
    covered = astronaut[:260, 90:350].copy()
    covered[140:] = 30
    cv2.imwrite(str(tmp_path / "covered.png"), covered)
    names = ("broken.jpg", "wall.png", "notes.png", "covered.png")
    page = open_page()
    page.set_input_files("#photo-files", [*(tmp_path / name for name in names), ASTRONAUT])
    page.wait_for_selector("#progress", state="hidden")
    assert page.inner_text("#tally") == "5 of 5 · 2 faces · 1 without a face · 2 unreadable"
    assert [button.get_attribute("class").split()[0] for button in page.query_selector_all(".strip button")] == [
        *("ok", "error", "ok", "error", "no_face")
    ]
    page.click(".strip li:nth-child(3) button")
    outline = page.wait_for_selector(".outline.unsure")
    assert outline.get_attribute("aria-label").startswith("Face 1: unsure")
    assert page.inner_text(".sign").startswith("unsure")
    assert len(json.loads(saved(page, "#save-json").read_text())) == 5
    page.click(".strip li:nth-child(4) button")
    page.wait_for_selector("text=notes.png is not a picture we can read.")
    assert page.inner_text("main").count("notes.png is not a picture") == 1, "it is said once"
    assert page.is_disabled("#save-png")


def test_a_number_that_means_nothing_says_so(open_page: Open, tmp_path: Path) -> None:
    """On its card, in the list, in the counts and in what is saved."""
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 300, 3), 120, np.uint8))
    page = open_page()
    page.set_input_files("#photo-files", [tmp_path / "wall.png", ASTRONAUT])
    page.wait_for_selector("#progress", state="hidden")
    page.click(".strip li:nth-child(2) button")
    page.click("text=Take the whole picture as one face")
    assert page.inner_text(".card.void .sign") == "No face was found here: this number means nothing"
    page.wait_for_timeout(200)
    assert page.inner_text("#tally") == "2 of 2 · 1 face · 1 without a face"
    assert page.inner_text(".strip li:nth-child(2) .said") == "no face found"
    sure, void = json.loads(saved(page, "#save-json").read_text())
    assert "note" not in sure
    assert "means nothing" in void["note"]
    with saved(page, "#save-csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["note"] for row in rows] == ["", void["note"]]
    answers: list[Any] = []
    page.on("requestfinished", lambda request: "v1/predict" in request.url and answers.append(request))
    page.check("#benchmark")
    until(page, lambda: len(answers) == 2)
    page.wait_for_selector("#progress", state="hidden")
    page.wait_for_selector(".card.void .sign")  # also where it is asked once more


def test_paste(open_page: Open) -> None:
    page = open_page()
    page.evaluate(
        """async () => {
            const blob = await (await fetch('page/example.jpg')).blob();
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([blob], 'image.png', { type: blob.type }));
            document.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
        }"""
    )
    assert "happy" in answered(page).get_attribute("aria-label")


def test_drop(open_page: Open) -> None:
    page = open_page()
    page.evaluate(
        """async () => {
            const blob = await (await fetch('page/example.jpg')).blob();
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([blob], 'one.jpg', { type: blob.type }));
            dataTransfer.items.add(new File([blob], 'two.jpg', { type: blob.type }));
            dataTransfer.items.add(new File(['text'], 'notes.txt', { type: 'text/plain' }));
            document.dispatchEvent(new DragEvent('dragenter', { dataTransfer, bubbles: true }));
            document.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
        }"""
    )
    answered(page)
    page.wait_for_selector("#progress", state="hidden")
    assert page.inner_text("#tally") == "2 of 2 · 2 faces"


def test_an_answer_that_is_faster_than_the_picture_is_shown_with_it(open_page: Open) -> None:
    """On a slow machine the server has answered before the browser has decoded the picture."""
    page = open_page()
    page.evaluate(
        """() => {
            const decode = HTMLImageElement.prototype.decode;
            const allowed = new Promise((done) => { window.allow = done; });
            HTMLImageElement.prototype.decode = async function () {
                await allowed;
                return decode.call(this);
            };
        }"""
    )
    page.set_input_files("#photo-files", [ASTRONAUT])
    page.wait_for_selector("#announce:has-text('happy')", state="attached")
    assert page.locator("#stage .picture").count() == 1
    page.evaluate("window.allow()")
    assert "happy" in answered(page).get_attribute("aria-label")
    assert page.locator(".card").count() == 1


def test_an_example_that_cannot_be_loaded_says_so(open_page: Open) -> None:
    page = open_page()
    page.route("**/example.jpg", lambda route: route.fulfill(status=503))
    page.reload()
    page.wait_for_selector("body[data-ready]")
    page.click("#try-example")
    assert page.wait_for_selector(".notice.bad p").inner_text() == "The example cannot be loaded. Load the page again."
    assert page.is_hidden("#work")


def test_a_busy_server_is_waited_for(open_page: Open) -> None:
    page = open_page()
    refusals = iter((503, 429))

    def refuse(route: Any) -> None:
        status = next(refusals, None)
        if status is None:
            route.continue_()
        else:
            problem = {"title": "Busy", "detail": "the server is busy", "status": status}
            route.fulfill(status=status, headers={"Retry-After": "1"}, json=problem)

    page.route("**/v1/predict*", refuse)
    page.click("#try-example")
    assert "The server is busy. Trying again in 1 s" in page.inner_text(".notice.busy p")
    answered(page)
    page.wait_for_selector(".notice", state="detached")


def test_the_camera_live(open_page: Open, capsys: pytest.CaptureFixture[str]) -> None:
    page = open_page()
    answers = count_answers(page)
    page.click("#use-camera")
    page.wait_for_selector(".rate[data-rate]", state="attached")
    rates = []

    def has_gone_along() -> bool:
        rates.append(float(page.get_attribute(".rate", "data-rate")))
        found = [face["box"][0] for answer in answers for face in json.loads(answer)["faces"]]
        return max(found, default=0) - min(found, default=0) > 150

    until(page, has_gone_along)
    with capsys.disabled():
        print(f"\nlive, by the server: {np.median(rates):.1f} frames a second ({min(rates):.1f} to {max(rates):.1f})")
    assert page.locator(".card").count() == 1
    assert page.inner_text(".bars .most .name") == "happy"
    assert "happy" in page.get_attribute("#timeline canvas", "aria-label")
    assert page.inner_text(".lanes .most .name") == "happy"
    page.click(".card .head")
    page.wait_for_selector("text=of face 1")
    page.hover(".top")
    assert page.locator(".card.chosen").count() == 1
    page.click("#stop")
    records = json.loads(saved(page, "#save-json").read_text())
    times = [record["time"] for record in records]
    assert times == sorted(times)
    assert {face["identity"] for record in records for face in record["faces"]} == {1}
    assert read_image(saved(page, "#save-png")).shape == (480, 640, 3)
    lefts = [record["faces"][0]["box"][0] for record in records if record["faces"]]
    assert max(lefts) - min(lefts) > 100, "the outline goes with the face"


def test_dark_is_remembered(open_page: Open) -> None:
    page = open_page(color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate(ground) == dark
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    assert open_page(color_scheme="dark").evaluate(ground) == dark


def test_a_phone(open_page: Open) -> None:
    page = open_page(width=360, height=740)
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) == 360
    page.set_input_files("#photo-files", [ASTRONAUT, ASTRONAUT])
    answered(page)
    assert page.evaluate(wide) == 360
    small = [
        button.text_content()
        for button in page.query_selector_all("button:not(.outline)")
        if button.is_visible() and button.bounding_box()["height"] < 43.5
    ]
    assert small == [], "too small for a thumb"


def test_by_the_keyboard_alone(open_page: Open) -> None:
    page = open_page()

    def reach(selector: str, *, steps: int = 30) -> None:
        for _ in range(steps):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"the key Tab does not reach {selector}")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reach("#try-example")
    page.keyboard.press("Enter")
    answered(page)
    reach(".outline")
    assert page.locator(".card.pointed").count() == 1
    page.keyboard.press("Enter")
    assert page.locator(".card.chosen").count() == 1
    reach(".card .head")
    page.keyboard.press("Space")
    assert page.locator(".card.chosen").count() == 0
    page.keyboard.press("Shift+Tab")
    reach("#clear", steps=40)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "choose-photos"


@pytest.mark.skipif(AXE is None, reason="CMAEN_AXE does not name axe-core's axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier(open_page: Open, scheme: str, tmp_path: Path) -> None:
    page = open_page(color_scheme=scheme)
    page.evaluate(Path(AXE or "").read_text())

    def barriers() -> list[tuple[str, list[str]]]:
        wait_until_nothing_moves(page)
        found = page.evaluate("axe.run()")["violations"]
        return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]

    assert barriers() == []
    (tmp_path / "broken.png").write_text("no picture")
    page.set_input_files("#photo-files", [ASTRONAUT, tmp_path / "broken.png"])
    page.wait_for_selector("#progress", state="hidden")
    answered(page)
    assert barriers() == []
    page.click(".strip li:nth-child(2) button")
    assert barriers() == []
    page.click(".group.rest")
    assert barriers() == []
    page.click("#clear")
    (tmp_path / "wall.png").write_bytes(cv2.imencode(".png", np.full((200, 300, 3), 120, np.uint8))[1].tobytes())
    page.set_input_files("#photo-files", tmp_path / "wall.png")
    page.wait_for_selector("text=No face was found.")
    assert barriers() == []
    page.click("text=Take the whole picture as one face")
    page.wait_for_selector(".card.void")
    assert barriers() == []
    page.click("#clear")
    page.click("[data-example='example-six.jpg']")
    answered(page, count=6)
    page.click(".card .head >> nth=4")
    assert barriers() == []
    page.click("#use-camera")
    page.wait_for_selector(".rate[data-rate]", state="attached")
    assert barriers() == []


def test_a_camera_that_is_allowed_too_late_goes_off(open_page: Open) -> None:
    page = open_page()
    page.evaluate(
        """() => {
            const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            const allowed = new Promise((done) => { window.allow = done; });
            navigator.mediaDevices.getUserMedia = async (wanted) => {
                await allowed;
                window.stream = await ask(wanted);
                return window.stream;
            };
        }"""
    )
    page.click("#use-camera")
    page.click("#clear")
    assert page.evaluate(
        """async () => {
            window.allow();
            for (let tries = 0; tries < 5000; tries += 1) {
                if (window.stream?.getTracks().every((track) => track.readyState === 'ended')) return true;
                await new Promise((done) => setTimeout(done, 50));
            }
            return false;
        }"""
    )
    assert page.locator("#work").is_hidden()


WORDS = "<b>Émotions</b> & visages : " + "mot" * 40


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The address of a service with a key and the operator's own notice."""
    with serving("--api-key", "right (key)", "--notice", WORDS) as address:
        yield address


def test_a_key_is_asked_for(open_page: Open, guarded: str) -> None:
    page = open_page(guarded)
    page.click("#try-example")
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=The server does not accept that key")
    page.fill("#key", "right (key)")
    page.click("text=Use this key")
    answered(page)
    page.click("#use-camera")
    page.wait_for_selector(".rate[data-rate]", state="attached")
    page.click("#clear")
    page.evaluate("sessionStorage.clear()")
    page.click("#try-example")
    page.click("text=Not now")
    page.wait_for_selector(".empty >> text=This server asks for a key.")
    page.click(".empty >> text=Try again")
    page.fill("#key", "right (key)")
    page.keyboard.press("Enter")
    page.wait_for_selector(".outline")


def test_people_are_told_before_anything_else_in_the_operators_words(open_page: Open, guarded: str) -> None:
    page = open_page(guarded, width=390)
    assert page.inner_text("#told") == WORDS
    assert page.locator("#told b").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#try-example")
    page.fill("#key", "right (key)")
    page.keyboard.press("Enter")
    answered(page)
    assert page.is_visible("#told")
