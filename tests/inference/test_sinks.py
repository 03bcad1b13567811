from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmaen.errors import MissingExtraError, OutputError
from cmaen.images import printable
from cmaen.inference.registry import load
from cmaen.inference.sinks import SINKS, Needs, open_sink
from cmaen.inference.sinks.pictures import PictureSink
from cmaen.inference.sinks.records import COLUMNS, WRITERS, RecordSink
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, FaceBox, Frame
from tests.inference.conftest import BLUE, RED, plain

SAD = (0.05, 0.05, 0.1, 0.1, 0.1, 0.5, 0.1)
FACE = Face(SAD, FaceBox(1.04, 2, 30, 40, landmarks=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))))
PICTURES = [
    Result(Frame(0, "a.png"), (FACE,)),
    Result(Frame(1, 'b, "b"\n.png')),
    Result(Frame(2, "ç.png"), (FACE, FACE)),
    Result(Frame(3, "d.png"), error="EmptyImageError: d.png is empty"),
]
FRAMES = [
    Result(Frame(0, "film.mp4", time=0.0), (replace(FACE, identity=1), replace(FACE, identity=2))),
    Result(Frame(1, "film.mp4", time=1 / 3)),
    Result(Frame(2, "film.mp4", time=2 / 3), (replace(FACE, identity=2),)),
]


def write(sink: RecordSink, results: list[Result]) -> None:
    for result in results:
        sink.write(result, None)


def written(path: Path, results: list[Result], **options: object) -> Path:
    sink = RecordSink(path, **options)
    try:
        write(sink, results)
        sink.finish()
    finally:
        sink.close()
    return path


def read(path: Path) -> list[dict[str, object]]:
    """What a file holds; its rows, with ``None`` where there is nothing, of CSV and Parquet."""
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        return parquet.read_table(path).to_pylist()
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]


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
    with pytest.raises(OutputError, match="unfinished run: delete it, or resume"):
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
    command = [sys.executable, "-m", "cmaen", "inference", "--directory", str(pictures), "--no-detect"]
    command += ["--batch-size", "4", "--output", str(output)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    part = tmp_path / "results.csv.part"
    deadline = time.monotonic() + 60
    while (not part.exists() or part.stat().st_size == 0) and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not output.exists(), "it was killed too late to prove anything"
    done = len(part.read_bytes().splitlines()) - 1  # without the settings
    said = subprocess.run([*command, "--resume"], check=True, capture_output=True, text=True).stdout
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


def test_what_a_format_needs_is_advised_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"cmaen\[scale\]"):
        RecordSink(tmp_path / "results.parquet")
    monkeypatch.setitem(sys.modules, "cmaen.inference.sinks.video", None)
    with pytest.raises(MissingExtraError, match="the sink video needs"):
        open_sink("video", tmp_path / "film.mp4")


@pytest.mark.parametrize("kind", [kind for kind in SINKS if kind != "window"])
def test_every_kind_of_sink_has_its_class(kind: str) -> None:
    if kind == "video":
        pytest.importorskip("av")
    sink = load(SINKS, kind, "a sink")
    assert SINKS[kind].home.endswith(f":{sink.__name__}")
    assert sink.needs in Needs


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


def photo(tmp_path: Path, name: str = "photo.png") -> tuple[Result, np.ndarray]:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(plain(RED)).save(path, format="PNG")
    return Result(Frame(0, os.fsencode(path).decode("utf-8", "backslashreplace")), (FACE,)), plain(BLUE)


@pytest.mark.parametrize("name", ["drawn.png", "new/drawn.TIF", "drawn.bmp", "drawn.jpg"])
def test_a_picture_is_written_in_the_format_that_its_name_says(name: str, tmp_path: Path) -> None:
    result, drawn = photo(tmp_path)
    PictureSink(tmp_path / name).write(result, drawn)
    with Image.open(tmp_path / name) as image:
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - BLUE).max() < 5


def test_the_pictures_of_a_folder_keep_their_places_and_those_without_faces_are_left_out(tmp_path: Path) -> None:
    sink = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    for name in ("a.png", "below/ä.png", os.fsdecode(b"caf\xe9.png")):
        for _ in range(2):  # the second time it is there already
            sink.write(*photo(tmp_path / "in", name))
    result, drawn = photo(tmp_path / "in", "nobody.png")
    sink.write(replace(result, faces=()), drawn)
    found = sorted(str(path.relative_to(tmp_path / "drawn")) for path in (tmp_path / "drawn").rglob("*.png"))
    assert found == ["a.png", "below/ä.png", "caf_xe9.png"]


def test_pictures_get_names_that_every_system_takes_and_tells_apart(tmp_path: Path) -> None:
    sink = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    for name in ("a.png", "A.png", "noname", "noname.png", "photo.xyz", "con.png", "x.webp"):
        sink.write(*photo(tmp_path / "in", name))
    sink.finish()
    sink.close()
    found = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert len({name.lower() for name in found}) == 7
    assert {"a.png", "noname.png", "photo.png", "_con.png", "x.webp"} <= set(found)
    assert all(np.asarray(Image.open(path)).shape == plain(BLUE).shape for path in (tmp_path / "drawn").iterdir())


def test_a_folder_whose_name_is_not_utf8_is_drawn_too(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    PictureSink(tmp_path / "drawn", root=root).write(*photo(root, "a.png"))
    assert (tmp_path / "drawn" / "a.png").exists()


@pytest.mark.parametrize("target", ["photo.png", "link.png", "below/../photo.png"])
def test_a_picture_is_never_drawn_over(target: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result, drawn = photo(tmp_path)
    (tmp_path / "below").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "photo.png")
    PictureSink(tmp_path / target).write(result, drawn)
    assert "is the image itself; choose another place" in caplog.text
    with pytest.raises(OutputError, match="is the folder of the images themselves"):
        PictureSink(tmp_path, root=tmp_path / "below" / "..")
    assert (np.asarray(Image.open(tmp_path / "photo.png")) == RED).all()


def test_a_folder_above_that_of_the_pictures_takes_none_of_their_places(tmp_path: Path) -> None:
    root = tmp_path / "in"
    sink = PictureSink(tmp_path, root=root)
    photo(root, "a.png")
    sink.write(*photo(root, "b.png"))
    sink.write(*photo(root, "in/a.png"))  # would go where the first one lies
    with pytest.raises(OutputError, match="could not be written: 1"):
        sink.finish()
    sink.close()
    assert (np.asarray(Image.open(root / "a.png")) == RED).all()
    assert (np.asarray(Image.open(tmp_path / "b.png")) == BLUE).all()


def test_names_that_look_like_escaped_ones_are_others(tmp_path: Path) -> None:
    names = [
        os.fsdecode(name)
        for name in (b"caf\xe9.png", b"caf\\xe9.png", b"caf\\\\xe9.png", b"caf\\\xe9.png", b"c\\d.png")
    ]
    sink = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        sink.write(Result(Frame(0, printable(path)), (FACE,)), plain(BLUE))
    sink.close()
    assert len(list((tmp_path / "drawn").iterdir())) == len(names)


def test_a_second_run_into_a_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    first = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    with pytest.raises(OutputError, match="being written by another run"):
        PictureSink(tmp_path / "drawn", root=tmp_path / "elsewhere")
    first.close()
    assert not (tmp_path / "drawn").exists(), "nothing was written"
    PictureSink(tmp_path / "drawn", root=tmp_path / "in").close()


def test_a_picture_that_cannot_be_written_costs_the_others_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "drawn" / "a.png").mkdir(parents=True)
    sink = PictureSink(tmp_path / "drawn", root=tmp_path / "in")
    for name in ("a.png", "b.png"):
        sink.write(*photo(tmp_path / "in", name))
    sink.close()
    assert "a.png could not be written" in caplog.text
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["a.png", "b.png"]
    with pytest.raises(OutputError, match=r"could not be written: 1$"):
        sink.finish()


@pytest.mark.parametrize(("name", "message"), [
    ("drawn", "not that of an image format"),
    ("drawn.xyz", "not that of an image format"),
    ("drawn.psd", "not that of an image format"),
    ("photo.png/drawn.png", "photo.png cannot be created: File exists; choose another place"),
])  # fmt: skip
def test_a_picture_that_can_never_be_written_is_refused_before_the_run(name: str, message: str, tmp_path: Path) -> None:
    photo(tmp_path)
    with pytest.raises(OutputError, match=message):
        PictureSink(tmp_path / name)


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
