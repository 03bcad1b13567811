"""Subtitles: WebVTT by a strict reader and by a browser, whatever the people are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cmaen.recordings.subtitles import write_subtitles
from tests.browser import PATIENCE, chromium
from tests.recordings.made import HOSTILE, Cue, episode, parse_subtitles, record


def test_an_episode_is_a_cue_in_the_voice_of_its_person(tmp_path: Path) -> None:
    path = tmp_path / "film.vtt"
    episodes = [episode("Ada", 1 / 3, 1.2), episode("Bob", 0.5, 7325.25, "sad", 0.655)]
    write_subtitles(path, record({"Ada": [0], "Bob": [0]}), episodes)
    assert parse_subtitles(path.read_bytes()) == [
        Cue("1", 333, 1200, "Ada", "Ada: happy (80%)"),
        Cue("2", 500, 7325250, "Bob", "Bob: sad (66%)"),
    ]
    assert "02:02:05.250" in path.read_text("utf-8")


def test_nobody_is_a_file_without_cues(tmp_path: Path) -> None:
    write_subtitles(tmp_path / "film.vtt", record({}), [])
    assert parse_subtitles((tmp_path / "film.vtt").read_bytes()) == []


def test_an_episode_without_length_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "film.vtt"
    write_subtitles(path, record({"Ada": [0]}), [episode("Ada", -0.5, -0.5), episode("Ada", 1, 1, "sad", 0.001)])
    cues = parse_subtitles(path.read_bytes())
    assert [(cue.start, cue.end) for cue in cues] == [(0, 1), (1000, 1001)]
    assert cues[1].text == "Ada: sad (<1%)"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=()), max_size=6) | st.sampled_from(HOSTILE), unique=True, max_size=6
    )
)
def test_no_name_breaks_a_cue(names: list[str]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.vtt"
        write_subtitles(path, record({name: [0] for name in names}), [episode(name, 0, 1) for name in names])
        cues = parse_subtitles(path.read_bytes())
    assert len({cue.voice for cue in cues}) == len(names)
    assert all(cue.text == f"{cue.voice}: happy (80%)" for cue in cues)


def test_a_browser_shows_every_cue(tmp_path: Path) -> None:
    path = tmp_path / "film.vtt"
    people = {name: [0] for name in HOSTILE}
    episodes = [*(episode(name, number, number + 1.5) for number, name in enumerate(people)), episode("NA", 7200, 7201)]
    write_subtitles(path, record(people), episodes)
    expected = [[cue.start / 1000, cue.end / 1000, cue.text] for cue in parse_subtitles(path.read_bytes())]
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.route("http://film.test/page", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
        page.route("http://film.test/film.vtt", lambda route: route.fulfill(path=path, content_type="text/vtt"))
        page.goto("http://film.test/page")
        shown: Any = page.evaluate(SHOW)
    assert shown == expected


PAGE = "<video><track default src='film.vtt'></video>"
SHOW = """() => new Promise((resolve, reject) => {
  const track = document.querySelector("track");
  const tell = cue => [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent];
  const read = () => resolve([...track.track.cues].map(tell));
  track.addEventListener("load", read);
  track.addEventListener("error", () => reject(new Error("the subtitles cannot be read")));
  track.track.mode = "showing";
  if (track.readyState === 2) read();
})"""
