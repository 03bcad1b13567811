"""Files of records: what they hold, and runs that were stopped."""

from __future__ import annotations

import csv
import errno
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.errors import OutputError
from cmaen.inference.sinks.records import COLUMNS, WRITERS, RecordSink
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, FaceBox, Frame
from tests.conftest import wait_until
from tests.inference.records import FACE, FRAMES, PICTURES, SAD, read, write, written
from tests.test_cli import cmaen


@pytest.mark.parametrize("results", [PICTURES, FRAMES], ids=["pictures", "video"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_holds_the_same(suffix: str, results: list[Result], tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = written(tmp_path / f"results{suffix}", results)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    records, found = [result.to_record() for result in results], read(path)
    if suffix in (".json", ".jsonl"):
        assert found == records
        return
    assert all(tuple(row) == (*COLUMNS, *EMOTIONS) for row in found)
    faces = [(record, face) for record in records for face in record["faces"] or [None]]
    assert len(found) == len(faces)
    for row, (record, face) in zip(found, faces, strict=True):
        assert (row["path"], row["status"], row["error"]) == (record["path"], record["status"], record["error"])
        assert str(row["frame"]) == str(record.get("frame"))
        if face is None:
            assert {row[name] for name in (*COLUMNS[5:], *EMOTIONS)} == {None}
            continue
        assert float(row["height"]) == 40
        assert row["predicted_emotion"] == "sad"
        assert [float(row[name]) for name in EMOTIONS] == list(SAD)
    if results is FRAMES:
        assert [str(row["identity"]) for row in found] == ["1", "2", "None", "2"]
        assert [float(row["time"]) for row in found] == [0, 0, 0.3333, 0.6667]
        assert [int(row["frame"]) for row in found] == [0, 0, 1, 2]
    else:
        assert [str(row["face"]) for row in found] == ["1", "None", "1", "2", "None"]
        assert {row[name] for row in found for name in ("frame", "time", "identity")} == {None}


@pytest.mark.parametrize("suffix", [suffix for suffix in WRITERS if suffix in (".csv", ".parquet")])
def test_a_person_is_a_column_of_text_that_is_empty_without_recognition(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    named = [Result(Frame(0, "film.mp4", time=0.0), (replace(FACE, identity=1, person="Zoë, 3"),)), PICTURES[0]]
    assert [row["person"] for row in read(written(tmp_path / f"some{suffix}", named))] == ["Zoë, 3", None]


@pytest.mark.parametrize("suffix", WRITERS)
def test_no_results_are_a_file_too(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    assert read(written(tmp_path / f"none{suffix}", [])) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_the_file_appears_at_the_end_and_replaces_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    written(path, PICTURES[:1])
    sink = RecordSink(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["results.json"]  # nothing is begun before a result
    write(sink, PICTURES)
    assert len(read(path)) == 1
    sink.finish()
    assert len(read(path)) == 4


def stopped(path: Path, **options: object) -> Path:
    """The part of a run that was stopped after one result."""
    sink = RecordSink(path, **options)
    write(sink, PICTURES[:1])
    sink.close()
    return path.with_name(path.name + ".part")


def test_a_stopped_run_goes_on_where_its_last_whole_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    part = stopped(path)
    part.write_bytes(part.read_bytes() + b'{"path": "b.p')  # a kill in mid-write
    with pytest.raises(OutputError, match="unfinished run: delete it, or add --resume"):
        RecordSink(path)
    sink = RecordSink(path, resume=True)
    assert "a.png" in sink.done
    assert "b.png" not in sink.done
    write(sink, PICTURES[1:])
    sink.finish()
    assert read(path) == [result.to_record() for result in PICTURES]
    assert not part.exists()


@pytest.mark.parametrize("left", [b"", b'{"settings": {}'])
def test_a_run_that_was_stopped_before_its_first_line_begins_again(left: bytes, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.with_name("results.jsonl.part").write_bytes(left)
    assert len(read(written(path, PICTURES, resume=True))) == 4


def test_there_may_be_nothing_to_go_on_with(tmp_path: Path) -> None:
    assert len(read(written(tmp_path / "results.jsonl", PICTURES, resume=True))) == 4


def test_a_run_with_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    part = stopped(path, settings={"engine": "onnx", "detector": "yunet", "weights": {"model.onnx": "1"}})
    content = part.read_bytes()
    with pytest.raises(
        OutputError, match="detector was 'yunet' and is 'haar'; engine was 'onnx' and is None; delete it"
    ):
        RecordSink(path, settings={"detector": "haar", "weights": {"model.onnx": "1"}}, resume=True)
    assert part.read_bytes() == content
    RecordSink(path, settings={"engine": "onnx", "detector": "yunet", "weights": {"model.onnx": "1"}}, resume=True)


@pytest.mark.parametrize(
    "left", ['{"path": "a.png", "faces": []}\n', '[{"settings": 1}]\n', "text\n", '{"settings": {}}\n[]\n']
)
def test_the_part_of_another_version_is_not_gone_on_with(left: str, tmp_path: Path) -> None:
    part = tmp_path / "results.json.part"
    part.write_text(left)
    with pytest.raises(OutputError, match="was written by another version; delete it to start again"):
        RecordSink(tmp_path / "results.json", resume=True)
    assert part.read_text() == left


def test_a_killed_command_loses_nothing_and_writes_nothing_twice(tmp_path: Path) -> None:
    pictures, output = tmp_path / "pictures", tmp_path / "results.csv"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for number in range(300):
        Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(pictures / f"{number:03}.png")
    words = ("inference", "--directory", str(pictures), "--no-detect", "--batch-size", "4", "--output", str(output))
    process = subprocess.Popen([sys.executable, "-m", "cmaen", *words], stdout=subprocess.DEVNULL)
    part = tmp_path / "results.csv.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 0)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not output.exists(), "it was killed too late to prove anything"
    done = len(part.read_bytes().splitlines()) - 1  # without the settings
    said = cmaen(*words, "--resume")
    assert int(said.split(" image")[0].split()[-1]) in (300 - done, 300 - done + 1)
    assert [row["path"] for row in read(output)] == [str(path) for path in sorted(pictures.iterdir())]


def test_places_that_cannot_be_written_are_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match=r"can be written as \.json, \.jsonl, \.csv, \.parquet"):
        RecordSink(tmp_path / "results.txt")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").touch()
    for name, message in (
        ("folder.json", "cannot be written"),
        ("file/results.json", "file cannot be created: File exists; choose another place"),
    ):
        with pytest.raises(OutputError, match=message):
            RecordSink(tmp_path / name)
    with pytest.raises(OutputError, match="could not be written: File name too long"):
        RecordSink(tmp_path / ("x" * 300 + ".json"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="cannot be written; choose another place"):
        RecordSink(tmp_path / "results.json")


@pytest.mark.parametrize("call", ["write", "flush"])
def test_a_full_disk_keeps_what_was_written_and_says_so(call: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    sink = RecordSink(path)
    write(sink, PICTURES[:2])

    class Full:
        """A file on a disk that has become full."""

        def __init__(self, file: object) -> None:
            self.file = file

        def __getattr__(self, name: str) -> object:
            return self.refuse if name in (call, "close") else getattr(self.file, name)

        def refuse(self, *_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = sink._file
    sink._file = Full(file)
    with pytest.raises(OutputError, match=r"results.json.part .*No space left on device; free some space"):
        write(sink, PICTURES[2:3])
    sink.close()
    assert not path.exists()
    sink = RecordSink(path, resume=True)
    assert "a.png" in sink.done
    assert "d.png" not in sink.done
    write(sink, PICTURES[3:])
    sink.finish()
    assert read(path)[-1]["path"] == "d.png"
    file.close()


def test_a_disk_that_becomes_full_at_the_end_keeps_the_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "results.csv"
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="free some space"):
            written(path, PICTURES)
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.csv.part"]
    assert len(read(written(path, [], resume=True))) == 5


def test_names_of_any_kind_come_back_from_the_part(tmp_path: Path) -> None:
    names = ["a b.png", "ä\u2028ö.png", "line\nbreak.png", "caf\\xe9.png", "💾.png", "'\",;.png"]
    path = tmp_path / "results.jsonl"
    sink = RecordSink(path)
    write(sink, [Result(Frame(0, name)) for name in names])
    sink.close()
    done = RecordSink(path, resume=True).done
    assert all(name in done for name in names)
    assert "other.png" not in done


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first, second = RecordSink(path), RecordSink(path)
    write(first, PICTURES[:2])
    with pytest.raises(OutputError, match=r"results.jsonl is being written by another run"):
        write(second, PICTURES[:1])
    for resume in (False, True):
        with pytest.raises(OutputError, match="another run"):
            RecordSink(path, resume=resume)
    second.close()
    write(first, PICTURES[2:])
    first.finish()
    assert len(read(path)) == len(PICTURES)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert read(written(path, PICTURES[:1]))[0]["path"] == "a.png"  # and then it is free


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_results_go_to_a_link_and_into_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text("old")
    (tmp_path / "there.jsonl").chmod(0o600)
    (tmp_path / "link.jsonl").symlink_to("there.jsonl")
    written(tmp_path / "link.jsonl", PICTURES)
    assert (tmp_path / "link.jsonl").is_symlink()
    assert len(read(tmp_path / "there.jsonl")) == len(PICTURES)
    assert (tmp_path / "there.jsonl").stat().st_mode & 0o777 == 0o600
    pipe, found = tmp_path / "pipe.jsonl", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.extend(pipe.read_text().splitlines()))
    reader.start()
    written(pipe, PICTURES)
    reader.join(10)
    assert len(found) == len(PICTURES)


def test_probabilities_of_a_csv_have_five_digits_and_those_of_json_all(tmp_path: Path) -> None:
    shares = (1 / 3, 1e-7 / 3, 2 / 3)
    face = Face(shares, FaceBox(1, 2, 30, 40), classes=("calm", "status", "tense"))
    results = [Result(Frame(0, "a"), (face,)), Result(Frame(1, "b"))]
    sink = RecordSink(tmp_path / "r.csv", classes=face.classes)
    write(sink, results)
    assert sink.rows == 0
    sink.finish()
    sink.close()
    assert sink.rows == 2
    with (tmp_path / "r.csv").open(newline="") as file:
        _, row, nothing = csv.reader(file)
    assert row[-3:] == ["0.33333", "3.3333e-08", "0.66667"]
    assert nothing[-1] == ""
    exact = read(written(tmp_path / "r.json", results, classes=face.classes))[0]
    assert list(exact["faces"][0]["probabilities"].values()) == list(shares)  # type: ignore[index]


@pytest.mark.parametrize("suffix", WRITERS)
def test_how_much_was_written_is_known_and_nothing_is_too(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    for results, faces in ((PICTURES, 5), ([], 0)):
        sink = RecordSink(tmp_path / f"r{len(results)}{suffix}")
        write(sink, results)
        sink.finish()
        sink.close()
        assert sink.rows == (faces if suffix in (".csv", ".parquet") else len(results))
