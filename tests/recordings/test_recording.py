"""Tests of recordings: every form of results gives the same recording, whatever a spreadsheet has done to it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from cmaen.errors import DataError
from cmaen.inference.sinks.records import WRITERS, RecordSink
from cmaen.recordings.recording import NO_ANSWER, make_recordings, read_recordings
from cmaen.results import Face, Result
from cmaen.tabulation import rows
from cmaen.types import EMOTIONS, FaceBox, Frame

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


def make_face(emotion, identity, *, share=0.7, threshold=0.0):
    rest = (1 - share) / (len(EMOTIONS) - 1)
    shares = tuple(share if name == emotion else rest for name in EMOTIONS)
    return Face(shares, FaceBox(10.0 * identity, 5, 20, 24), identity=identity, threshold=threshold)


def make_results(name="film.mp4", *, step=0.5):
    """Two people for four frames; the third shows nobody, and in the last the second person is uncertain."""
    people = [
        (make_face("happy", 1), make_face("sad", 2)),
        (make_face("happy", 1, share=0.9),),
        (),
        (make_face("sad", 1), make_face("sad", 2, threshold=0.8)),
    ]
    return [
        Result(Frame(number, name, time=number * step), faces, scheme="perceived")
        for number, faces in enumerate(people)
    ]


def write(path, results):
    sink = RecordSink(path)
    for result in results:
        sink.write(result, None)
    sink.finish()
    return path


def check(recording):
    assert recording.labels == EMOTIONS
    assert recording.times.tolist() == [0, 0.5, 1, 1.5]
    assert recording.durations.tolist() == [0.5] * 4
    assert recording.scheme == "perceived"
    assert list(recording.people) == ["person 1", "person 2"]
    first, second = recording.people.values()
    assert first.frames.tolist() == [0, 1, 3]
    assert first.answers.tolist() == [HAPPY, HAPPY, SAD]
    assert second.answers.tolist() == [SAD, NO_ANSWER]
    np.testing.assert_allclose(first.confidence, [0.7, 0.9, 0.7], atol=1e-5)
    np.testing.assert_allclose(first.probabilities.sum(axis=1), 1, atol=1e-4)
    assert second.boxes[0].tolist() == [20, 5, 20, 24]
    assert (recording.failed, recording.left_out) == (0, 0)


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_form_of_results_gives_the_same_recording(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    (recording,) = read_recordings(write(tmp_path / f"faces{suffix}", make_results()))
    assert recording.name == "film.mp4"
    check(recording)


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_what_a_spreadsheet_saves_is_read(tmp_path, delimiter, encoding):
    text = write(tmp_path / "faces.csv", make_results()).read_text()
    assert "film.mp4" in text
    text = text.replace(",", delimiter).replace(".", ",").replace("film,mp4", "film.mp4").replace("\n", "\r\n")
    (tmp_path / "saved.csv").write_text(text, encoding=encoding, newline="")
    (recording,) = read_recordings(tmp_path / "saved.csv")
    check(recording)


def test_each_video_is_a_recording_in_the_order_of_the_file(tmp_path):
    path = write(tmp_path / "faces.csv", make_results("b.mp4") + make_results("a.mp4"))
    recordings = read_recordings(path)
    assert [recording.name for recording in recordings] == ["b.mp4", "a.mp4"]
    for recording in recordings:
        check(recording)


def test_rows_in_any_order_give_the_same_recording(tmp_path):
    lines = write(tmp_path / "faces.csv", make_results()).read_text().splitlines(keepends=True)
    np.random.default_rng(0).shuffle(lines[1:])
    (tmp_path / "mixed.csv").write_text("".join([lines[0], *lines[:0:-1]]))
    check(read_recordings(tmp_path / "mixed.csv")[0])


def flat(result):
    return list(rows(result.to_record()))


def test_what_is_damaged_or_failed_is_counted_and_costs_nothing_else():
    good = [row for result in make_results() for row in flat(result)]
    broken = [
        {**good[0], "time": "soon"},
        {**good[0], "confidence": ""},
        {**good[0], "happy": "lots"},
        {**good[0], "predicted_emotion": "hungry"},
        {},
    ]
    failed = flat(Result(Frame(9, "film.mp4", time=4.5), error="VideoError: broken"))
    (recording,) = make_recordings([*good, *broken, *failed], "here")
    assert (recording.left_out, recording.failed) == (5, 1)
    check(replace(recording, left_out=0, failed=0))
    with pytest.raises(DataError, match="no row that can be read, of 5"):
        make_recordings(broken, "here")


def test_a_name_stands_before_the_number_of_a_track():
    good = [{**row, "person": "Ada"} for result in make_results() for row in flat(result) if row.get("identity") == 1]
    (recording,) = make_recordings(good, "here")
    assert list(recording.people) == ["Ada"]


def test_of_two_faces_of_one_person_in_a_frame_the_surer_one_counts():
    first, second = (
        flat(Result(Frame(0, "f", time=0.0), (make_face("happy", 1, share=share),))) for share in (0.6, 0.8)
    )
    (recording,) = make_recordings([*first, *second, *first], "here")
    (appearance,) = recording.people.values()
    assert appearance.confidence.tolist() == [0.8]


def test_people_are_sorted_by_number():
    faces = tuple(make_face("happy", identity) for identity in (10, 2, 1))
    (recording,) = make_recordings(flat(Result(Frame(0, "f", time=0.0), faces)), "here")
    assert list(recording.people) == ["person 1", "person 2", "person 10"]
    assert recording.seconds == 0


def test_own_labels_are_found_beside_columns_that_a_user_has_added():
    row = {"path": "f", "time": 1, "predicted_emotion": "bored", "confidence": 0.6, "bored": 0.6, "keen": 0.4}
    (recording,) = make_recordings([{**row, "note": "x", "age": 40, "group": ""}], "here")
    assert recording.labels == ("bored", "keen")


def test_a_frame_stands_for_three_intervals_at_most():
    results = [Result(Frame(n, "f", time=time), (make_face("sad", 1),)) for n, time in enumerate([0, 1, 2, 60, 61])]
    (recording,) = make_recordings([row for result in results for row in flat(result)], "here")
    assert recording.durations.tolist() == [1, 1, 3, 1, 1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "no results"),
        ("a.csv", "path,time\n", "no results"),
        ("a.csv", "path,predicted_emotion,happy\na.png,happy,0.9\n", "not of a video"),
        ("a.txt", "path,time\n", "results are read from .csv"),
        ("a.json", "{", "cannot be read as results"),
        ("a.json", "[" * 100_000, "cannot be read as results"),
        ("a.parquet", "PAR1", "cannot be read as results"),
        ("a.jsonl", "\x00\x00", "no times"),
    ],
)
def test_a_file_without_recordings_is_refused(tmp_path, name, text, message):
    if name == "a.parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_recordings(tmp_path / name)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_a_file_cut_at_any_length_gives_fewer_faces_or_an_error(tmp_path, suffix):
    whole = write(tmp_path / f"faces{suffix}", make_results()).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / f"cut{suffix}").write_bytes(whole[:length])
        try:
            recordings = read_recordings(tmp_path / f"cut{suffix}")
        except DataError:
            continue
        assert all(np.isfinite(face.probabilities).all() for r in recordings for face in r.people.values())


def test_json_lines_that_are_no_records_are_left_out(tmp_path):
    path = write(tmp_path / "faces.jsonl", make_results())
    with path.open("a") as file:
        file.writelines(json.dumps(value) + "\n" for value in (3, None, [], {"faces": 5}, {"faces": [{}]}, "x"))
    recordings = read_recordings(path)
    assert sum(recording.left_out for recording in recordings) == 6
    assert math.isclose(recordings[0].seconds, 2)
