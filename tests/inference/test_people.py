from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cmaen.errors import OutputError
from cmaen.inference.sinks import open_sink
from cmaen.inference.sinks.people import COLUMNS, PeopleSink
from cmaen.results import Face, Result
from cmaen.types import FaceBox, Frame

CLASSES = ("calm", "tense")


def seen(number: int, time: float, *faces: tuple[int, float]) -> Result:
    """A frame with the faces of some people, each with the probability of ``calm``."""
    found = tuple(Face((calm, 1 - calm), FaceBox(0, 0, 9, 9), who, CLASSES) for who, calm in faces)
    return Result(Frame(number, "talk.mp4", time=time), found)


def watch(sink: PeopleSink, *results: Result) -> PeopleSink:
    for result in results:
        sink.write(result, None)
    sink.finish()
    sink.close()
    return sink


def test_each_frame_counts_until_the_next_one() -> None:
    film = [seen(0, 10.0, (2, 0.9)), seen(1, 10.5, (2, 0.3), (1, 0.8)), seen(2, 12.5), seen(3, 13.0, (1, 0.45))]
    people = watch(PeopleSink(), *film).people
    first, second = people.values()
    assert list(people) == [1, 2]
    assert (second.seconds, second.frames, second.first, second.last) == (2.5, 2, 10.0, 10.5)
    assert second.shares == pytest.approx({"calm": 0.2, "tense": 0.8})
    assert second.means == pytest.approx({"calm": 0.6, "tense": 0.4})
    assert second.peaks["calm"] == (0.9, 10.0)
    assert second.peaks["tense"] == (pytest.approx(0.7), 10.5)
    assert (second.emotion, first.emotion) == ("tense", "calm")
    assert first.seconds == pytest.approx(2.5), "the last frame stays as long as the one before it"
    assert first.unsure == 0


def test_the_first_frame_of_an_excerpt_is_no_long_gap() -> None:
    (person,) = watch(PeopleSink(), seen(0, 100.0, (1, 0.9))).people.values()
    assert (person.seconds, person.shares["calm"]) == (0, 0)


def test_the_table_has_a_row_a_person(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    watch(open_sink("people", path), seen(0, 0.0, (1, 1 / 3), (2, 0.5)), seen(1, 0.1, (1, 2 / 3)))  # type: ignore[arg-type]
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0])[: len(COLUMNS)] == COLUMNS
    assert [row["person"] for row in rows] == ["1", "2"]
    assert rows[0]["calm_peak"] == "0.66667"
    assert rows[0]["calm_peak_time"] == "0.1"
    assert rows[0]["seconds"] == "0.2"


def test_nobody_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    watch(PeopleSink(path), seen(0, 0.0), seen(1, 0.1))
    assert path.read_text() == ",".join(COLUMNS) + "\n"


def test_a_table_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"is a \.csv file"):
        PeopleSink(tmp_path / "people.xlsx")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        PeopleSink(tmp_path / "file" / "people.csv")
