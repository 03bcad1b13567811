"""The report's files: figures that agree everywhere, names that do no harm, and a page that stays small."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmaen.errors import OutputError
from cmaen.recordings.recording import Appearance, Recording
from cmaen.studies.events import Event, Events
from cmaen.studies.report import list_places, write_report
from cmaen.types import EMOTIONS
from tests.studies.films import film

EVIL = "<script>alert(1)</script>\"'>&${title}‮\x1b[31m"
VOID = {"meta", "link", "br", "img", "input", "rect", "path"}


class Page(HTMLParser):
    """The elements of a page; every one that is opened must be closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert not any(name.startswith("on") for name in given)
        if "id" in given:
            self.ids.append(str(given["id"]))
        if "href" in given:
            self.links.append(str(given["href"]))
        assert "src" not in given or str(given["src"]).startswith("data:image/jpeg;base64,")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)


def read_page(path: Path) -> Page:
    text = path.read_text("utf-8")
    page = Page(text)
    assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"base64,[^\"]*", "", text))
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert page.tags.count("script") == 1
    return page


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_all_files_tell_the_same(tmp_path: Path) -> None:
    recordings = [
        film({"Ada": "h" * 60 + "s" * 40, "Bob": "n" * 100}, "/x/one.mp4"),
        film({"Ada": "a" * 100, "Eve": "f" * 100}, "/x/two.mp4"),
    ]
    written = write_report(recordings, tmp_path / "study.html", events=Events((Event("a", 0, 5), Event("b", 5, 9))))
    assert [path.name for path in written] == [
        *("study.html", "study.json", "study-shares.csv", "study-episodes.csv", "study-differences.csv")
    ]
    assert sorted(written) == sorted(tmp_path.iterdir())
    values = json.loads((tmp_path / "study.json").read_text("utf-8"))
    shares = read_rows(tmp_path / "study-shares.csv")
    assert len(shares) == 4 * 7
    told = {
        (one["recording"], person["person"], share["emotion"]): share["share"]
        for one in values["recordings"]
        for person in one["people"]
        for share in person["shares"]
    }
    assert told == {(row["recording"], row["person"], row["emotion"]): float(row["share"]) for row in shares}
    assert told["/x/one.mp4", "Ada", "happy"] == pytest.approx(0.6)
    episodes = read_rows(tmp_path / "study-episodes.csv")
    assert [(row["person"], row["emotion"], row["start"], row["end"]) for row in episodes][:2] == [
        ("Ada", "happy", "0", "6"),
        ("Ada", "sad", "6", "10"),
    ]
    assert len(read_rows(tmp_path / "study-differences.csv")) == 7
    page = read_page(tmp_path / "study.html")
    assert {"overview", "comparison", "r0", "r0p0", "r1p1", "method"} <= set(page.ids)
    text = " ".join(page.texts)
    assert "2 recordings with 3 people" in text
    assert "/x/" not in text, "folders are nobody's business"
    assert "at least 6 people" in text


def test_nothing_personal_is_kept_unless_asked_for(tmp_path: Path) -> None:
    write_report([film("h" * 50)], tmp_path / "r.html")
    assert "img" not in read_page(tmp_path / "r.html").tags
    assert not (tmp_path / "r-differences.csv").exists()
    write_report([film("h" * 50)], tmp_path / "r.html", thumbnails=True)
    page = read_page(tmp_path / "r.html")
    assert "img" not in page.tags
    assert "film.mp4 was not found" in " ".join(page.texts)


def test_names_do_no_harm(tmp_path: Path) -> None:
    labels = ("<i>", '"', *EMOTIONS[2:])
    told = film({EVIL: "a" * 50 + "d" * 50, "\ud800": "h" * 100, "": "s" * 100}, f"C:\\{EVIL}\n.mp4")
    recording = Recording(told.name, labels, told.times, told.people, scheme=EVIL, failed=2, left_out=3)
    events = Events((Event(EVIL, 0, 5), Event("b", 5, 9, group=EVIL)), (f"row 2 {EVIL}",))
    write_report([recording, recording], tmp_path / "r.html", events=events, notes=[EVIL])
    page = read_page(tmp_path / "r.html")
    assert "<script>alert(1)</script>" in " ".join(page.texts)
    content = (tmp_path / "r.html").read_text("utf-8")
    assert content.count("<script") == 1
    assert "\x1b" not in content
    assert "‮" not in content
    values = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert [one["person"] for one in values["recordings"][0]["people"]] == [EVIL, "\ud800", ""]
    assert len({one["recording"] for one in values["recordings"]}) == 2, "equal names are numbered"
    assert len(read_rows(tmp_path / "r-shares.csv")) == 2 * 3 * 7


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.text("hns? H", max_size=12))
def test_any_name_and_any_sight_make_a_page(tmp_path: Path, name: str, person: str, text: str) -> None:
    write_report([film({person: text}, name)], tmp_path / "r.html", events=Events((Event(person or "e", 0.1, 0.5),)))
    read_page(tmp_path / "r.html")
    json.loads((tmp_path / "r.json").read_text("utf-8"))


@pytest.mark.parametrize("people", [{}, {"Ada": "h"}, {"Ada": "?"}, {"Ada": "hs"}, {"Ada": " h "}])
def test_hardly_anything_makes_a_page(people: dict[str, str], tmp_path: Path) -> None:
    write_report([film(people), film(people)], tmp_path / "r.html")
    read_page(tmp_path / "r.html")


def test_a_recording_without_a_face_says_so(tmp_path: Path) -> None:
    empty = Recording("empty.mp4", (), np.arange(50) * 0.1, {})
    write_report([empty], tmp_path / "r.html")
    text = " ".join(read_page(tmp_path / "r.html").texts)
    assert "No face was seen" in text
    assert "0:05 of it without any face" in text
    assert json.loads((tmp_path / "r.json").read_text())["recordings"][0]["without_a_face"] == pytest.approx(5)


def test_two_hundred_people_fit_on_a_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    people = {f"person {n}": "".join(rng.choice(list("adfhnsu "), 60).repeat(12)) for n in range(200)}
    write_report([film(people)], tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < 4_000_000
    page = read_page(tmp_path / "r.html")
    assert sum(re.fullmatch(r"r0p\d+", one) is not None for one in page.ids) == 200
    assert len(json.loads((tmp_path / "r.json").read_text())["recordings"][0]["people"]) == 200


def test_three_hours_are_thinned_on_the_page_and_nowhere_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    count = 3 * 3600 * 5
    people = {}
    for name in ("Ada", "Bob", "Eve"):
        answers = rng.integers(0, 7, count // 20).repeat(20)
        probabilities = rng.dirichlet(np.ones(7), count)
        probabilities[np.arange(count), answers] += 1
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        confidence = probabilities.max(axis=1)
        people[name] = Appearance(np.arange(count), probabilities, answers, confidence, np.full((count, 4), np.nan))
    recording = Recording("long.mp4", EMOTIONS, np.arange(count) / 5, people)
    write_report([recording], tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < 3_000_000
    read_page(tmp_path / "r.html")
    ada = json.loads((tmp_path / "r.json").read_text())["recordings"][0]["people"][0]
    answered = np.bincount(people["Ada"].answers, minlength=7) / count
    assert [share["share"] for share in ada["shares"]] == pytest.approx(answered.tolist())
    episodes = [row for row in read_rows(tmp_path / "r-episodes.csv") if row["person"] == "Ada"]
    assert len(episodes) == len(ada["episodes"]) > 2000
    assert sum(float(row["end"]) - float(row["start"]) for row in episodes) == pytest.approx(3 * 3600, rel=1e-4)


def test_a_page_is_an_html_file(tmp_path: Path) -> None:
    for bad in (tmp_path / "r.pdf", tmp_path / "r", tmp_path / "r.html.txt"):
        with pytest.raises(OutputError):
            write_report([film("h" * 9)], bad)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="at least one recording"):
        write_report([], tmp_path / "r.html")
    with pytest.raises(ValueError, match="unit must be one of"):
        write_report([film("h")], tmp_path / "r.html", unit="face")  # type: ignore[arg-type]
    assert list_places("a/b.html")["episodes"] == Path("a/b-episodes.csv")


def test_what_was_left_out_is_told(tmp_path: Path) -> None:
    events = Events((Event("a", 0, 2, file="other.mp4"), Event("b", 2, 4)), ("row 3 of the events was left out: no",))
    told = film("h" * 50)
    other = Recording("b.mp4", EMOTIONS[1:], told.times, {}, scheme="fer2013", failed=3, left_out=4)
    write_report([told, other], tmp_path / "r.html", events=events)
    text = " ".join(read_page(tmp_path / "r.html").texts)
    for said in ("3 frames without an answer", "4 rows that could not be read", "row 3 of the", "name other.mp4"):
        assert said in text
    assert "angry: not compared" in text
