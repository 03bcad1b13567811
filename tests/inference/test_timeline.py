"""The timeline: what it keeps of a video, however long, and the lanes it draws."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.drawing.charts import PORTRAIT
from cmaen.drawing.style import colour_of
from cmaen.errors import OutputError
from cmaen.inference.people.naming import Names
from cmaen.inference.sinks import timeline
from cmaen.inference.sinks.base import Needs
from cmaen.inference.sinks.people import NOBODY
from cmaen.inference.sinks.timeline import BINS, PEOPLE, Timeline, TimelineSink
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, FaceBox, Frame

BOX = FaceBox(10, 10, 30, 40)


def feeling(emotion: str, identity: int | None = 1, confidence: float = 1.0, box: FaceBox = BOX) -> Face:
    rest = (1 - confidence) / (len(EMOTIONS) - 1)
    return Face(tuple(confidence if name == emotion else rest for name in EMOTIONS), box, identity)


def area(path: Path, emotion: str) -> int:
    """Pixels of the line and the dot of an emotion."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - colour_of(emotion, EMOTIONS)).max(axis=2) < 4).sum())


@pytest.mark.parametrize("rate", [30, 10, 5, 0.5])
def test_a_timeline_is_drawn_at_any_frame_rate(rate: float, tmp_path: Path) -> None:
    sink = TimelineSink(tmp_path / "people.png")
    for number in range(40):
        emotion = "happy" if number < 20 else "sad"
        sink.write(Result(Frame(number, "film.mp4", time=number / rate), (feeling(emotion),)), None)
    assert not (tmp_path / "people.png").exists()
    sink.finish()
    assert area(tmp_path / "people.png", "happy") > 1000
    assert area(tmp_path / "people.png", "sad") > 1000
    people = sink._timeline.summarise()
    assert people[0].shares[EMOTIONS.index("happy")] == pytest.approx(0.5, abs=0.06)
    assert people[0].means[0, EMOTIONS.index("happy")] == 1


@pytest.mark.parametrize("name", ["people.png", "people.JPG", "people.jpeg", "people.svg", "new/people.webp"])
def test_a_timeline_is_drawn_in_the_formats_of_pictures(name: str, tmp_path: Path) -> None:
    sink = TimelineSink(tmp_path / name)
    sink.write(Result(Frame(0, "film", time=0.0), (feeling("happy"),)), None)
    sink.finish()
    sink.close()
    if name.endswith(".svg"):
        assert "<polyline" in (tmp_path / name).read_text("utf-8")
        return
    assert Image.open(tmp_path / name).format == {"png": "PNG", "webp": "WEBP"}.get(name.rpartition(".")[2], "JPEG")


def test_a_timeline_of_nobody_is_a_picture_too(tmp_path: Path) -> None:
    for number, results in enumerate(([], [Result(Frame(0, "film", time=0.0))])):
        sink = TimelineSink(tmp_path / f"{number}.png")
        for result in results:
            sink.write(result, None)
        sink.finish()
        assert Image.open(tmp_path / f"{number}.png").size[0] > 100


@pytest.mark.parametrize(("name", "message"), [
    ("people.foo", r"a timeline can be drawn as \.png, "),
    ("people", "a timeline can be drawn as"),
    ("file/people.png", "file cannot be created: File exists; choose another place"),
])  # fmt: skip
def test_a_timeline_that_cannot_be_drawn_is_refused_before_the_run(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=message):
        TimelineSink(tmp_path / name)


def test_it_needs_no_more_than_the_package_has() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = sys.modules['av'] = sys.modules['torch'] = None\n"
        "from cmaen.inference.sinks import open_sink\n"
        "import pathlib, tempfile\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    for kind in ('timeline', 'chart'):\n"
        "        sink = open_sink(kind, pathlib.Path(folder) / 'x.png'); sink.finish()\n"
        "print('drawn')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "drawn", done.stderr


def test_someone_who_was_away_leaves_a_gap() -> None:
    line = Timeline()
    for number in range(100):
        line.add(number / 10, (feeling("happy"),) if number < 20 or number >= 60 else ())
    (person,) = line.summarise()
    seen = np.isfinite(person.means[:, 0])
    assert np.flatnonzero(~seen)[0] == 20
    assert seen.sum() == 60
    assert person.seconds == pytest.approx(6)


def test_bins_become_twice_as_wide_and_lose_nothing() -> None:
    line = Timeline(width=1.0)
    for second in range(5 * BINS):
        line.add(float(second), (feeling("happy" if second < 1000 else "sad", confidence=1 if second < 1000 else 0.4),))
    line.summarise()
    person = line._persons[1]
    assert line.width == 8.0
    assert person.sums.shape == (BINS, 7)
    assert person.counts.sum() == 5 * BINS
    assert person.sums.sum() == pytest.approx(5 * BINS)
    assert person.unsure.sum() == 5 * BINS - 1000
    assert person.sums[:125, EMOTIONS.index("happy")].sum() == 1000
    assert person.counts[: 5 * BINS // 8].tolist() == [8] * (5 * BINS // 8)


def test_many_passers_by_do_not_keep_out_who_comes_late() -> None:
    line = Timeline()
    moment = 0.0
    for passer in range(100):
        for _ in range(4):
            line.add(moment, (feeling("neutral", passer + 1),))
            moment += 0.1
    for _ in range(20):
        line.add(moment, (feeling("happy", 500),))
        moment += 0.1
    people = line.summarise()
    assert len(people) == PEOPLE
    assert people[-1].identity == 500
    assert len(line._persons) <= 4 * PEOPLE


def test_a_timeline_ends_with_the_last_face_of_anybody_it_shows() -> None:
    line = Timeline()
    for number in range(100):
        line.add(number / 10, (feeling("happy", 1), feeling("sad", 2)) if number < 50 else (feeling("sad", 2),))
    people = line.summarise()
    assert [person.identity for person in people] == [1, 2]
    assert {len(person.means) for person in people} == {100}


def test_a_timeline_of_a_part_begins_with_it(tmp_path: Path) -> None:
    line = Timeline()
    for number in range(100):
        line.add(3600 + number / 10, (feeling("happy"),))
    assert line.width == 0.1  # the hour before costs nothing
    (person,) = line.summarise()
    assert len(person.means) == 100
    assert line._begins == 3600


def test_a_clock_that_goes_back_takes_nothing_from_a_timeline() -> None:
    line = Timeline()
    for time in (0.0, 1.0, 0.2, -5.0, 2.0, 3.0):
        line.add(time, (feeling("happy"),))
    (person,) = line.summarise()
    assert np.isfinite(person.means[:30]).all()


def test_a_portrait_is_the_best_moment_and_no_frame_is_kept() -> None:
    line = Timeline()
    for number, (side, shade) in enumerate([(20, 50), (60, 200), (40, 90), (0, 10)]):
        image = np.full((100, 100, 3), shade, np.uint8)
        faces = (feeling("happy", box=FaceBox(10, 10, side, side)),) if side else ()
        line.add(number / 10, faces, image)
    (person,) = line.summarise()
    assert person.portrait is not None
    assert person.portrait.shape == (PORTRAIT, PORTRAIT, 3)
    assert person.portrait.base is None or person.portrait.base.nbytes == person.portrait.nbytes
    assert (person.portrait == 200).all()


def test_memory_does_not_grow_with_the_video() -> None:
    line, image = Timeline(), np.zeros((600, 800, 3), np.uint8)
    line.add(0.0, (feeling("happy"),), image)
    tracemalloc.start()
    for number in range(1000):
        line.add(
            number / 5, (feeling("happy", 1 + number % 80, box=FaceBox(5, 5, 50 + number % 90, 60)),), image.copy()
        )
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 8e6  # 48 people with 1024 bins of 9 numbers, and a portrait of 38 KB
    assert TimelineSink.needs is Needs.PIXELS


def test_whatever_pillow_raises_is_a_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = TimelineSink(tmp_path / "people.png")
    sink.write(Result(Frame(0, "film", time=0.0), (feeling("happy"),)), None)

    def odd(*_: object) -> None:
        raise LookupError("odd")

    monkeypatch.setattr(timeline.Timeline, "draw", odd)
    with pytest.raises(OutputError, match=r"people.png could not be written: odd"):
        sink.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_person_of_many_short_tracks_has_one_lane_and_is_not_taken_for_passers_by() -> None:
    """A person who is cut to a hundred times has a hundred tracks; the names so far keep them together."""
    lanes = Timeline(people=2)
    for number in range(1, 101):
        lanes.add(float(number), [replace(feeling("happy", number), person="person 1")])
        lanes.add(number + 0.5, [replace(feeling("sad", 1000 + number), person=None)] if number % 10 == 0 else [])
    assert len(lanes._persons) <= 8, "memory is bounded"
    names = Names(tracks=dict.fromkeys(range(1, 101), "Ada"))
    lanes.name(names)
    ada, others = lanes.summarise()
    assert (ada.name, others.name) == ("Ada", NOBODY)
    assert ada.identity == 1
    assert ada.seconds == pytest.approx(50, rel=0.1)


def test_an_excluded_person_has_no_lane_and_no_portrait() -> None:
    lanes = Timeline()
    picture = np.full((60, 60, 3), 99, np.uint8)
    lanes.add(0.0, [feeling("happy", 1), feeling("sad", 2)], picture)
    lanes.add(1.0, [])
    lanes.name(Names(hidden=frozenset({2}), recognised=False))
    assert [lane.identity for lane in lanes.summarise()] == [1]
