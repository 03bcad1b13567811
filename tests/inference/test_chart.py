"""The chart of many pictures: what is counted, and that bars are as long as their counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cmaen.drawing import charts
from cmaen.drawing.charts import Counts
from cmaen.drawing.sheets import Sheet
from cmaen.errors import OutputError
from cmaen.inference.sinks import chart, open_sink
from cmaen.inference.sinks.pictures import title_of
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, FaceBox, Frame

BOX = FaceBox(1, 2, 30, 40)


def feeling(emotion: str, confidence: float = 0.9, threshold: float = 0.0) -> Face:
    rest = (1 - confidence) / (len(EMOTIONS) - 1)
    shares = tuple(confidence if name == emotion else rest for name in EMOTIONS)
    return Face(shares, BOX, threshold=threshold)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Counts, str]]:
    """What is drawn, and its title."""
    calls: list[tuple[Counts, str]] = []

    def remember(counts: Counts, classes: tuple[str, ...], *, title: str) -> Sheet:
        calls.append((counts, title))
        return charts.draw_counts(counts, classes, title=title)

    monkeypatch.setattr(chart, "draw_counts", remember)
    return calls


def test_faces_are_counted_by_emotion_sure_and_unsure_and_pictures_without_any(
    told: list[tuple[Counts, str]], tmp_path: Path
) -> None:
    sink = open_sink("chart", tmp_path / "emotions.png")
    names = ("photos/a.jpg", "photos/b.jpg", "photos/trip/c.jpg", "photos/d.jpg")
    faces = ((feeling("happy"), feeling("sad", 0.4)), (feeling("happy", 0.7, threshold=0.8),), (), ())
    for number, (name, found) in enumerate(zip(names, faces, strict=True)):
        error = "UnreadableImageError: no" if number == 3 else None
        sink.write(Result(Frame(number, name, error=error), found, error), None)
    assert not (tmp_path / "emotions.png").exists()
    sink.finish()
    sink.close()
    assert told == [(Counts(sure={"happy": 1}, unsure={"sad": 1, "happy": 1}, pictures=4, empty=1, errors=1), "photos")]
    assert Image.open(tmp_path / "emotions.png").size[0] == 1200


def test_the_title_is_that_of_one_file_or_none_or_ones_own(told: list[tuple[Counts, str]], tmp_path: Path) -> None:
    for names, more in ((["x/film.mp4"] * 2, {}), (["a/1.jpg", "b/2.jpg"], {}), ([], {}), (["a.jpg"], {"title": "Us"})):
        sink = open_sink("chart", tmp_path / "emotions.jpg", **more)
        for number, name in enumerate(names):
            sink.write(Result(Frame(number, name, time=0.1 if "film" in name else None), (feeling("fear"),)), None)
        sink.finish()
    assert [title for _, title in told] == ["film.mp4", "", "", "Us"]
    assert [counts.noun for counts, _ in told] == ["frame", "picture", "picture", "picture"]


@pytest.mark.parametrize("name", ["emotions.pdf", "emotions", "file/emotions.png"])
def test_a_chart_that_cannot_be_drawn_is_refused_before_the_run(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"a chart can be drawn as \.png|cannot be created"):
        open_sink("chart", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=40, unique=True))
def test_labels_and_names_of_any_text_are_drawn(tmp_path: Path, labels: list[str]) -> None:
    sink = open_sink("chart", tmp_path / "emotions.png")
    shares = tuple(float(number == 0) for number in range(len(labels)))
    for name in labels:
        sink.write(Result(Frame(0, name), (Face(shares, BOX, classes=tuple(labels)),)), None)
    sink.finish()
    assert np.asarray(Image.open(tmp_path / "emotions.png")).min() < 60


@pytest.mark.parametrize(("name", "title"), [
    ("films/talk.mp4", "talk.mp4"), ("camera 0", "camera 0"), ("", ""), ("rtsp://me:pass@cam/live?key=pass", "live"),
    ("rtsp://me:secret@cam", "cam"), ("http://[", ""),
])  # fmt: skip
def test_a_title_tells_no_secret(name: str, title: str) -> None:
    assert title_of(name) == title
