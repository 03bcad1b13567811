"""Films and cameras on the page, in a real browser; see ``browsing`` for what it needs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmaen.images.reader import read_image
from tests.web.browsing import (
    ASTRONAUT,
    AXE,
    Open,
    Opening,
    answered,
    count_answers,
    saved,
    until,
    wait_until_nothing_moves,
)
from tests.web.films import DONE, NOTE, PICTURE, Watched, astronaut, film, look_at, now, wait_for, write_film

__all__ = ["film"]  # fixture


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of the astronaut, in few frames."""
    return write_film(tmp_path_factory.mktemp("film") / "long.webm", astronaut(60), fps=5)


@pytest.fixture(scope="module")
def watched(opening: Opening, film: Path) -> Iterator[Watched]:
    """A page that has looked at the film, for the tests that only wind it, and the film's records."""
    with opening() as open_page:
        page = open_page(script=NOTE)
        records = look_at(page, film)
        yield Watched(page, records)


def test_a_film_is_looked_at_as_a_whole(watched: Watched) -> None:
    page, records = watched
    times = [record["time"] for record in records]
    assert times == sorted(set(times)), "each frame once"
    assert {round(time, 4) for time in page.evaluate("window.shown")} <= set(times), "all that the browser has shown"
    assert 5 <= len(records) <= 30, "a slow browser shows fewer"
    assert [record["frame"] for record in records] == list(range(len(records)))
    assert times[0] < 0.15
    assert times[-1] > 2.45
    assert {record["path"] for record in records} == {"film.webm"}
    assert {face["identity"] for record in records for face in record["faces"]} == {1}
    assert all(bool(record["faces"]) == (record["time"] < 1.95) for record in records)
    assert page.is_hidden("#stop"), "nothing is left to be stopped"
    with saved(page, "#save-csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["time"]) for row in rows] == times
    (row,) = page.query_selector_all("#people tbody tr")
    told = re.match(r"1\s*(\d\.\d) s", row.inner_text().replace("Person", "").strip())
    assert told, row.inner_text()
    lasting = [later - time for time, later in pairwise([*times, 3.0])]
    seen = sum(seconds for record, seconds in zip(records, lasting, strict=True) if record["faces"])
    assert float(told[1]) == pytest.approx(seen, abs=0.06), "each frame until the next that was looked at"
    shares = [float(text.strip(" %<")) for text in page.locator("#people .share").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=3)
    assert page.inner_text("#people td.most .share") == max(
        page.locator("#people .share").all_inner_texts(), key=float_of
    )


def float_of(text: str) -> float:
    return float(text.strip(" %<"))


def test_a_film_is_wound_by_keys_and_clicks(watched: Watched) -> None:
    page = watched.page
    slider = page.locator("#timeline [role=slider]")
    assert float(slider.get_attribute("aria-valuemax")) == pytest.approx(3, abs=0.05)
    slider.focus()
    page.keyboard.press("End")
    wait_for(page, float(slider.get_attribute("aria-valuemax")))
    assert "No face at this moment." in page.inner_text("#cards")
    page.keyboard.press("Home")
    wait_for(page, 0)
    page.wait_for_selector(".card")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    wait_for(page, float(slider.get_attribute("aria-valuenow")))
    assert now(page) == pytest.approx(4 * 3 / 20, abs=0.1)
    assert "happy" in slider.get_attribute("aria-valuetext")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + 20)
    wait_for(page, 1.5)
    assert page.inner_text(".lanes .most .name") == "happy"
    page.click("#people .peak >> nth=3")
    peak = page.locator("#people .peak .when >> nth=3").inner_text()
    minutes, seconds = re.search(r"(\d+):([\d.]+)", peak).groups()
    wait_for(page, 60 * int(minutes) + float(seconds))
    assert page.get_attribute("#people .person", "aria-pressed") == "true"


def test_the_picture_of_a_moment_is_saved_with_its_faces(watched: Watched) -> None:
    page, records = watched
    page.locator("#timeline [role=slider]").focus()
    page.keyboard.press("Home")
    wait_for(page, 0)
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    wait_for(page, 7 * 3 / 20)
    page.wait_for_timeout(300)
    drawn = read_image(saved(page, "#save-png"))
    assert drawn.shape == PICTURE.shape
    nearest = min(records, key=lambda record: abs(record["time"] - now(page)))
    x, y, _, height = (round(value) for value in nearest["faces"][0]["box"])
    plain = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2RGB)
    changed = np.abs(drawn.astype(int) - plain).max(axis=2) > 60
    assert changed[y : y + height, max(x - 4, 0) : x + 6].any(axis=1).mean() > 0.6, "an outline at its left side"


def test_a_film_of_one_frame(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    (record,) = look_at(page, write_film(tmp_path / "one.webm", [PICTURE]))
    assert record["faces"][0]["predicted_emotion"] == "happy"
    assert page.locator("#people tbody tr").count() == 1


def test_a_frame_a_second_is_no_matter_of_real_time(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    page.set_input_files("#video-file", write_film(tmp_path / "slow.webm", astronaut(9), fps=1))
    until(page, lambda: page.evaluate("document.querySelector('video')?.playbackRate > 1.5"))
    page.wait_for_selector(DONE)
    records = json.loads(saved(page, "#save-json").read_text())
    assert len(records) >= 6
    assert records[-1]["time"] >= 7


def without_duration(film: Path) -> Path:
    """The film as a browser records it: nobody has written how long it is, nor where its pictures are."""
    content = film.read_bytes()
    at = content.index(b"\x44\x89\x88")  # Duration, of eight bytes
    content = content[:at] + b"\xec\x89" + bytes(9) + content[at + 11 :]
    at = content.rindex(b"\x1c\x53\xbb\x6b")  # Cues
    path = film.with_name("endless.webm")
    path.write_bytes(content[:at])
    return path


def test_a_film_without_a_known_end(open_page: Open, film: Path) -> None:
    page = open_page()
    records = look_at(page, without_duration(film))
    assert records[-1]["time"] > 2.5
    slider = page.locator("#timeline [role=slider]")
    assert float(slider.get_attribute("aria-valuemax")) > 2.5
    slider.focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("Home")
    page.wait_for_selector(".card")


def test_files_that_are_no_films_say_so(open_page: Open, tmp_path: Path, film: Path) -> None:
    page = open_page()
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty.webm").write_bytes(b"")
    for name, words in {"text.mp4": "MP4 (H.264) and WebM", "empty.webm": "The file is empty"}.items():
        page.set_input_files("#video-file", tmp_path / name)
        assert words in page.wait_for_selector(".notice.bad").inner_text()
        assert page.is_hidden("#work")
        page.click(".notice button")
    strange = write_film(tmp_path / "strange.mp4", [PICTURE] * 5, codec="mp4v")  # MPEG-4 part 2
    page.set_input_files("#video-file", strange)
    assert "MP4 (H.264) and WebM" in page.wait_for_selector(".notice.bad").inner_text()
    assert look_at(page, film)[-1]["time"] > 2.45, "the next one is looked at all the same"


def test_half_a_film_is_looked_at_as_far_as_it_goes(open_page: Open, tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    frames = [np.clip(frame + noise.normal(0, 20, frame.shape), 0, 255).astype(np.uint8) for frame in astronaut(40)]
    whole = write_film(tmp_path / "whole.webm", frames)
    half = tmp_path / "half.webm"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    page = open_page()
    records = look_at(page, half)
    assert 0.5 < records[-1]["time"] < 3.5


def test_a_film_is_stopped(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    page.set_input_files("#video-file", write_film(tmp_path / "long.webm", astronaut(200), fps=5))
    page.wait_for_selector(".film-told[data-looked]")
    assert float(page.get_attribute(".caption progress", "max")) == 1
    until(page, lambda: int(page.get_attribute(".film-told", "data-looked") or 0) >= 40)
    assert "left" in page.inner_text(".film-told")
    page.locator("#stop").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(DONE)
    assert "stopped at 0:" in page.inner_text("#caption")
    assert page.evaluate("document.activeElement.id") == "save-json", "focus is not lost with the button"
    records = json.loads(saved(page, "#save-json").read_text())
    assert 30 < len(records) < 195
    page.click("#clear")
    assert page.locator("video").count() == 0


def test_a_hidden_tab_waits(open_page: Open, long_film: Path) -> None:
    page = open_page()
    page.set_input_files("#video-file", long_film)
    page.wait_for_selector(".film-told[data-looked]")
    hide = """(hidden) => {
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(hide, True)
    page.wait_for_selector(".film-told:has-text('Waits while you are elsewhere')")
    before = now(page)
    page.wait_for_timeout(500)
    assert now(page) == before
    page.evaluate(hide, False)
    page.wait_for_selector(DONE)
    records = json.loads(saved(page, "#save-json").read_text())
    times = [record["time"] for record in records]
    assert records[-1]["time"] > 11
    gaps = np.diff(times)
    hidden = np.searchsorted(times, before, side="right") - 1
    others = np.delete(gaps, hidden)
    assert gaps[hidden] < max(1.5, 2 * others.max()), "nothing is left out, but what a slow browser does not show"


def test_a_lost_server_is_waited_for_and_nobody_is_two(open_page: Open, long_film: Path) -> None:
    """Each socket counts its faces from 1; those of the next one are others."""
    page = open_page()
    page.evaluate(
        """() => {
            const Own = window.WebSocket;
            window.sockets = [];
            window.WebSocket = class extends Own {
                constructor(...args) { super(...args); window.sockets.push(this); }
            };
            window.WebSocket.OPEN = Own.OPEN;
        }"""
    )
    page.set_input_files("#video-file", long_film)
    page.wait_for_selector(".film-told[data-looked]")
    until(page, lambda: int(page.get_attribute(".film-told", "data-looked") or 0) >= 20)
    page.evaluate("window.sockets.at(-1).close()")
    page.wait_for_selector(DONE)
    assert page.evaluate("window.sockets.length") == 2
    records = json.loads(saved(page, "#save-json").read_text())
    identities = [face["identity"] for record in records for face in record["faces"]]
    assert set(identities) == {1, 2}
    assert identities == sorted(identities)
    assert records[-1]["time"] > 11


def test_other_labels_are_asked_of_the_whole_film(open_page: Open, film: Path) -> None:
    page = open_page()
    first = look_at(page, film)
    page.click("#benchmark")
    page.wait_for_selector("#work:not([data-film])")
    page.wait_for_selector(DONE)
    second = json.loads(saved(page, "#save-json").read_text())
    assert {record["scheme"] for record in first} != {record["scheme"] for record in second}
    assert second[0]["time"] < 0.15


PHONE = """() => {
    const media = navigator.mediaDevices;
    const ask = media.getUserMedia.bind(media);
    window.asked = [];
    media.enumerateDevices = async () => [{ kind: 'videoinput', deviceId: 'a' }, { kind: 'videoinput', deviceId: 'b' }];
    media.getUserMedia = async (wanted) => {
        const facing = wanted.video.facingMode?.exact ?? wanted.video.facingMode;
        window.asked.push(facing ?? 'same');
        if (window.broken && facing === 'environment') throw new DOMException('', 'NotReadableError');
        const stream = await ask({ video: true });
        const [track] = stream.getVideoTracks();
        track.getSettings = () => ({ facingMode: facing, deviceId: 'a' });
        const open = (old) => old.readyState !== 'ended';
        if (window.stream?.getTracks().some(open)) throw new Error('two cameras');
        window.stream = stream;
        return stream;
    };
}"""


def test_the_camera_at_the_other_side(open_page: Open) -> None:
    page = open_page()
    answers = count_answers(page)
    page.evaluate(PHONE)
    page.click("#use-camera")
    page.wait_for_selector(".rate[data-rate]", state="attached")
    assert page.locator("video.mirror").count() == 1
    page.click("#other-camera")
    page.wait_for_selector("video:not(.mirror)")
    seen = len(answers)
    until(page, lambda: len(answers) >= seen + 10)
    page.evaluate("window.broken = true")
    page.click("#other-camera")
    page.wait_for_selector("video.mirror")
    assert page.evaluate("window.asked") == ["user", "environment", "user"]
    page.click("#other-camera")  # which fails: the one that was there goes on
    until(page, lambda: page.evaluate("window.asked.length") == 5 and page.is_enabled("#other-camera"))
    seen = len(answers)
    until(page, lambda: len(answers) >= seen + 10)
    assert page.evaluate("window.asked").count("environment") == 2
    assert page.evaluate("window.stream.getTracks()[0].readyState") == "live"
    records = json.loads(saved(page, "#save-json").read_text())
    times = [record["time"] for record in records]
    assert times == sorted(set(times))
    page.evaluate("window.stream.getTracks()[0].dispatchEvent(new Event('ended'))")
    assert "The camera was disconnected." in page.inner_text(".notice.bad")


def test_the_rate_is_that_of_the_camera(open_page: Open) -> None:
    """The fake camera has 30 frames a second; a clock that moves with the screen would tell up to 60."""
    page = open_page()
    answers = count_answers(page)
    page.click("#use-camera")
    page.wait_for_selector(".rate[data-rate]", state="attached")
    until(page, lambda: len(answers) >= 50)
    assert float(page.get_attribute(".rate", "data-rate")) < 33
    records = json.loads(saved(page, "#save-json").read_text())
    times = [record["time"] for record in records]
    assert len(times) / (times[-1] - times[0]) < 33


def test_the_last_minute_is_in_view(open_page: Open) -> None:
    page = open_page(width=1280, height=800)
    page.click("#use-camera")
    page.wait_for_selector(".rate[data-rate]", state="attached")
    box = page.locator("#timeline").bounding_box()
    assert box["y"] + box["height"] < 800
    assert page.inner_text(".lane-scale li >> nth=0").split() == ["100%", "0"]


def test_on_a_phone_the_camera_comes_first(open_page: Open, film: Path) -> None:
    page = open_page(width=390, height=740, has_touch=True, is_mobile=True)

    def at_both_widths() -> Iterator[int]:
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 740})
            yield width

    wide = "document.documentElement.scrollWidth"
    for width in at_both_widths():
        assert page.evaluate(wide) == width
        first = page.locator(".sources button:visible >> nth=0")
        assert first.inner_text() == "Camera"
        assert "main" in first.get_attribute("class")
    assert page.get_attribute("#new-photo", "capture") == "environment"
    page.set_input_files("#new-photo", ASTRONAUT)
    answered(page)
    for width in at_both_widths():
        heights = {round(button.bounding_box()["height"]) for button in page.query_selector_all(".sources button")}
        assert heights == {44}, f"no label is wrapped at {width}"
    look_at(page, film)
    for width in at_both_widths():
        assert page.evaluate(wide) == width
    page = open_page()
    assert page.locator("#take-photo").count() == 0


@pytest.mark.skipif(AXE is None, reason="CMAEN_AXE does not name axe-core's axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_in_a_film(open_page: Open, film: Path, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    look_at(page, film)
    page.evaluate(Path(AXE or "").read_text())
    wait_until_nothing_moves(page)
    found = page.evaluate("axe.run()")["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []
