"""Episodes of a video beside its records: the same results in several files, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cmaen.errors import DataError, OutputError
from cmaen.inference.sinks.records import RecordSink
from cmaen.recordings import forms
from cmaen.recordings.recording import make_recordings
from cmaen.results import Face, Result
from cmaen.tabulation import rows
from cmaen.types import EMOTIONS, FaceBox, Frame
from tests.inference.records import PICTURES, read, write, written
from tests.recordings.made import parse_subtitles

SIDES = ("film.eaf", "film_events.tsv", "film.vtt")


def face(emotion: str, identity: int) -> Face:
    shares = tuple(0.7 if name == emotion else 0.05 for name in EMOTIONS)
    return Face(shares, FaceBox(20.0 * identity, 5, 20, 24), identity=identity)


FILM = [
    Result(
        Frame(number, "film.mp4", time=number / 10),
        (face("happy" if number < 10 else "sad", 1), *((face("neutral", 2),) if number % 20 < 8 else ())),
        scheme="perceived",
    )
    for number in range(40)
]
"""Four seconds: one person is happy for a second and then sad, another is there twice for 0.8 seconds."""


def test_one_run_writes_records_and_all_forms_of_episodes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("faces.csv", "faces.json", *SIDES)]
    sink = RecordSink(paths[0], also=paths[1:])
    write(sink, FILM)
    assert [entry.name for entry in tmp_path.iterdir()] == ["faces.csv.part"]
    sink.finish()
    sink.close()
    assert sink.counts == {paths[0]: 56, paths[1]: 40, paths[2]: 4, paths[3]: 4, paths[4]: 4}
    assert sink.rows == 56
    assert {entry.name for entry in tmp_path.iterdir()} == {"film_events.json", *(path.name for path in paths)}
    assert len(read(paths[1])) == 40
    assert [(cue.text, cue.start, cue.end) for cue in parse_subtitles(paths[4].read_bytes())] == [
        ("person 1: happy (70%)", 0, 1000),
        ("person 2: neutral (70%)", 0, 800),
        ("person 1: sad (70%)", 1000, 4000),
        ("person 2: neutral (70%)", 2000, 2800),
    ]


@pytest.mark.parametrize("name", SIDES)
def test_a_form_of_episodes_alone(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, FILM)
    expected = {path.name, *(["film_events.json"] if name.endswith(".tsv") else [])}
    assert {entry.name for entry in tmp_path.iterdir()} == expected


def test_a_video_without_a_face_has_the_vocabulary_of_its_network(tmp_path: Path) -> None:
    empty = [replace(result, faces=()) for result in FILM]
    root = ElementTree.parse(written(tmp_path / "a.eaf", empty, classes=("calm", "tense"))).getroot()
    assert [one.text for one in root.iter("CVE_VALUE")] == ["calm", "tense"]
    assert root.find("TIER") is None
    assert len((tmp_path / "a.eaf").read_text("utf-8")) > 100
    events = written(tmp_path / "a_events.tsv", empty, classes=("calm", "tense"))
    assert events.read_text("utf-8").splitlines() == ["onset\tduration\ttrial_type\tperson\tconfidence"]


def test_pictures_have_no_episodes(tmp_path: Path) -> None:
    sink = RecordSink(tmp_path / "a.csv", also=[tmp_path / "a.eaf"])
    with pytest.raises(OutputError, match=r"a\.eaf is for the episodes of a video, and a\.png has no time"):
        write(sink, PICTURES)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match=r"a\.eaf has no results"):
        written(tmp_path / "a.eaf", [])


def test_a_form_that_cannot_be_written_costs_no_other_and_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *_: object) -> None:
        raise OutputError(f"{path} could not be written: No space left on device")

    monkeypatch.setitem(forms.FORMS, ".eaf", fail)
    paths = [tmp_path / name for name in ("film.eaf", "faces.csv", "film.vtt")]
    sink = RecordSink(paths[0], also=paths[1:])
    write(sink, FILM)
    with pytest.raises(OutputError, match=r"film\.eaf could not be written"):
        sink.finish()
    sink.close()
    assert {entry.name for entry in tmp_path.iterdir()} == {"faces.csv", "film.vtt", "film.eaf.part"}
    assert len((tmp_path / "film.eaf.part").read_text("utf-8").splitlines()) == 1 + len(FILM)


def test_several_videos_have_a_file_each(tmp_path: Path) -> None:
    other = [replace(result, frame=replace(result.frame, name="other/talk.mkv")) for result in FILM]
    sink = RecordSink(tmp_path / "all.csv", also=[tmp_path / "all_events.tsv"])
    write(sink, [*FILM, *other])
    sink.finish()
    sink.close()
    assert [path.name for path in sink.counts] == ["all.csv", "all-film_events.tsv", "all-talk_events.tsv"]


def test_the_source_is_not_replaced(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    (tmp_path / "film.eaf").symlink_to(film)
    sink = RecordSink(tmp_path / "faces.csv", also=[tmp_path / "film.eaf"])
    with pytest.raises(OutputError, match=r"film\.eaf would replace .*film\.mp4"):
        write(sink, [replace(result, frame=replace(result.frame, name=str(film))) for result in FILM])
    assert film.read_bytes() == b"film"


def test_places_of_all_files_are_checked_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "film_events.json").mkdir()
    with pytest.raises(OutputError, match=r"film_events\.json cannot be written"):
        RecordSink(tmp_path / "faces.csv", also=[tmp_path / "film_events.tsv"])
    with pytest.raises(OutputError, match=r"episodes of a video, as \.eaf, _events\.tsv, \.vtt"):
        RecordSink(tmp_path / "film.srt")


def test_names_of_people_reach_the_files(tmp_path: Path) -> None:
    names = {1: "<Ada> & \t👩‍🚀", 2: "NA"}
    everything = [row for result in FILM for row in rows(result.to_record())]
    named = [{**row, "person": names[row["identity"]]} for row in everything]
    forms.write_episodes(tmp_path / "x.vtt", make_recordings(named, "x"))
    assert {cue.voice for cue in parse_subtitles((tmp_path / "x.vtt").read_bytes())} == {"<Ada> & 👩‍🚀", "NA"}
