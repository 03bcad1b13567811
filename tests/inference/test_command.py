from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer import Exit

from cmaen.checkpoints import Checkpoint
from cmaen.cli.inference import inference
from cmaen.cli.results import TableSink
from cmaen.errors import CheckpointError, CmaenError, ConfigError, DetectorError, OutputError, VideoError
from cmaen.inference import pipeline
from cmaen.inference.sinks import Needs
from cmaen.inference.tuning import Tuning
from tests.conftest import EXAMPLES
from tests.inference.conftest import RED, TIMES, plain, write_film
from tests.test_cli import cmaen

ASTRONAUT = EXAMPLES / "astronaut.png"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A face, a wall, and a file that is no picture."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    shutil.copy(ASTRONAUT, folder / "below" / "face.png")
    Image.fromarray(plain(RED)).save(folder / "wall.png")
    (folder / "text.jpg").write_text("text")
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


def read(path: Path) -> list[dict[str, object]]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_an_image_is_shown_recorded_and_drawn(output: Path) -> None:
    text = cmaen("inference", "--image", ASTRONAUT, "--output", output / "r.json", "--annotated", output / "drawn.png")
    assert "astronaut.png" in text
    assert "happy" in text
    assert "1 image, 1 face, 0 errors" in text
    (record,) = read(output / "r.json")
    assert (record["path"], record["status"], record["predicted_emotion"]) == (str(ASTRONAUT), "ok", "happy")
    assert (np.asarray(Image.open(output / "drawn.png")) != np.asarray(Image.open(ASTRONAUT).convert("RGB"))).any()


def test_a_folder_keeps_its_order_and_only_its_errors_are_shown_where_there_is_a_file(
    pictures: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inference(directory=str(pictures), output=output / "r.json", annotated=output / "drawn", batch_size=2)
    shown = capsys.readouterr().out
    assert "3 images, 1 face, 1 error" in shown
    assert "text.jpg: UnreadableImageError" in shown
    assert "wall.png" not in shown
    assert [record["status"] for record in read(output / "r.json")] == ["ok", "error", "no_face"]
    assert [path.name for path in (output / "drawn").rglob("*.png")] == ["face.png"]
    inference(directory=str(pictures))
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("face.png", "happy", "wall.png", "no face", "text.jpg"))


def test_an_address_is_read_like_its_folder(pictures: Path, output: Path) -> None:
    pytest.importorskip("fsspec")
    inference(directory=f"file://{pictures}", output=output / "address.json")
    inference(directory=str(pictures), output=output / "folder.json")
    found, expected = read(output / "address.json"), read(output / "folder.json")
    assert [f"{record['path']}" for record in found] == [f"file://{record['path']}" for record in expected]
    assert [record["faces"] for record in found] == [record["faces"] for record in expected]


def test_a_video_becomes_rows_a_video_with_sound_and_a_timeline(film: Path, output: Path) -> None:
    av = pytest.importorskip("av")
    rows, drawn, timeline = output / "faces.csv", output / "drawn.mp4", output / "people.png"
    said = cmaen("inference", "--video", film, "--output", rows, "--save-video", drawn, "--timeline", timeline)
    assert "12 frames (1.0 s), 12 faces, 1 people" in said
    with rows.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in table] == list(range(12))
    assert [float(row["time"]) for row in table] == pytest.approx(TIMES, abs=2e-3)
    assert {row["identity"] for row in table} == {"1"}
    assert all(row["predicted_emotion"] == "happy" for row in table)
    assert float(table[-1]["x"]) - float(table[0]["x"]) == pytest.approx(22, abs=6)
    with av.open(str(drawn)) as container, av.open(str(film)) as source:
        frames, before = (list(one.decode(video=0)) for one in (container, source))
        assert [frame.time for frame in frames] == pytest.approx(TIMES, abs=2e-3)
        one, other = (all_frames[0].to_ndarray(format="rgb24").astype(int) for all_frames in (frames, before))
        assert np.abs(one - other).max() > 100
    with av.open(str(drawn)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 16000
    assert timeline.stat().st_size > 5000
    assert len(list(output.iterdir())) == 3


def test_a_webcam_without_a_window(
    film: Path, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capture, asked = cv2.VideoCapture, []
    monkeypatch.setattr(cv2, "VideoCapture", lambda where: (asked.append(where), capture(str(film)))[1])
    inference(real_time=True, camera_index=3, display=False, output=output / "r.jsonl", save_video=output / "d.mkv")
    assert asked == [3]
    assert "frames (" in capsys.readouterr().out
    records = [json.loads(line) for line in (output / "r.jsonl").read_text().splitlines()]
    assert {record["path"] for record in records} == {"camera 3"}
    assert (output / "d.mkv").stat().st_size > 1000


def test_a_part_of_a_video_and_every_so_manyth_frame(film: Path, output: Path) -> None:
    pytest.importorskip("av")
    every = ("--every", 2, "--start", 0.2, "--end", 0.95, "--search-every", 0)
    said = cmaen("inference", "--video", film, *every, "--output", output / "r.json", "--save-video", output / "d.mp4")
    assert "4 frames (0.9 s)" in said
    chosen = [number for number, time in enumerate(TIMES) if number % 2 == 0 and 0.2 <= time <= 0.95]
    assert [record["frame"] for record in read(output / "r.json")] == chosen
    assert [record["time"] for record in read(output / "r.json")] == pytest.approx(
        [TIMES[number] for number in chosen], abs=2e-3
    )
    inference(video=str(film), start=0.5, timeline=output / "t.png")
    with pytest.raises(VideoError, match=r"has no frame from 7 s: its last frame is at 1\.00 s"):
        inference(video=str(film), start=7.0, output=output / "none.json")
    assert not (output / "none.json").exists()


def test_slides_of_people_one_a_second(output: Path) -> None:
    """The same astronaut, three times in another light and place: nobody is left out, nothing crosses a cut."""
    pytest.importorskip("av")
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB"))
    wall = np.full((512, 512, 3), (30, 90, 160), np.uint8)
    other = np.ascontiguousarray(photo[:, ::-1])
    slides = [photo, photo, wall, other, photo, wall, other]
    path = write_film(output / "slides.mp4", slides, times=[float(second) for second in range(7)])
    inference(video=str(path), output=output / "r.json")
    faces = [record["faces"] for record in read(output / "r.json")]
    assert [len(found) for found in faces] == [1, 1, 0, 1, 1, 0, 1]
    who = [found[0]["identity"] for found in faces if found]
    assert who[0] == who[1]
    assert who[2] != who[0]
    assert who[4] == who[2] or who[4] > max(who[:4])


def test_a_webcam_that_is_not_there_is_said() -> None:
    with pytest.raises(VideoError, match=r"camera 99 cannot be opened.* try another --camera-index"):
        inference(real_time=True, camera_index=99, display=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of --image, --directory, --video and --real-time"),
        ({"image": [str(ASTRONAUT)], "directory": "x"}, "give one of"),
        ({"video": "x", "real_time": True}, "give one of"),
        ({"image": [str(ASTRONAUT)], "engine": "ray"}, "--engine ray is for a --directory"),
        ({"video": "x.mp4", "engine": "ray"}, "--engine ray is for a --directory"),
        ({"directory": "x", "engine": "ray", "device": "cuda"}, "leave --device out"),
        ({"image": [str(ASTRONAUT)], "device": "quantum"}, "'quantum' is not a device of ONNX Runtime"),
        ({"image": [str(ASTRONAUT)], "save_video": Path("x.mp4")}, "--save-video and --timeline are for"),
        ({"directory": "x", "timeline": Path("x.png")}, "--save-video and --timeline are for"),
        ({"image": [str(ASTRONAUT)], "every": 2}, "--every, --start and --end are for --video and --real-time"),
        ({"directory": "x", "start": 1.0}, "--every, --start and --end are for"),
        ({"directory": "x", "end": 1.0}, "--every, --start and --end are for"),
        ({"video": "x.mp4", "start": 2.0, "end": 1.5}, r"--end must be later than --start \(2 s\), not 1.5 s"),
        ({"real_time": True, "end": 0.0}, "--end must be later than --start"),
        ({"video": "x.mp4", "annotated": Path("x.png")}, "--annotated is for an --image or a --directory"),
        ({"real_time": True, "annotated": Path("x.png")}, "--annotated is for an --image or a --directory"),
        ({"directory": "s3://x", "annotated": Path("x")}, "--annotated is for .* on this machine"),
        ({"directory": "x", "resume": True}, "--resume is for a --directory with an --output"),
        ({"image": [str(ASTRONAUT)], "output": Path("x.json"), "resume": True}, "--resume is for"),
        ({"video": "x.mp4", "output": Path("x.json"), "resume": True}, "--resume is for"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_options_that_do_not_go_together(
    options: dict[str, object], message: str, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(output)
    with pytest.raises(CmaenError, match=message):
        inference(**options)
    assert list(output.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("output", "r.xml", "can be written as"),
        ("output", "file/r.json", "cannot be created"),
        ("timeline", "x.foo", "a timeline can be drawn as"),
        ("save_video", "x.foo", "a video can be written as"),
        ("save_video", "file/x.mp4", "could not be written"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is(
    option: str, name: str, message: str, film: Path, output: Path
) -> None:
    pytest.importorskip("av")
    (output / "file").touch()
    options = {"output": "r.json", "timeline": "t.png", "save_video": "v.mp4", option: name}
    with pytest.raises(OutputError, match=message):
        inference(video=str(film), **{key: output / value for key, value in options.items()})
    assert [path.name for path in output.iterdir()] == ["file"]


def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_is_written(output: Path) -> None:
    with pytest.raises(OutputError, match="not that of an image format"):
        inference(image=[str(ASTRONAUT)], output=output / "r.json", annotated=output / "x.foo")
    assert list(output.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"directory": "nothing"}, CmaenError, "cannot be read"),
        ({"directory": str(ASTRONAUT)}, CmaenError, "is not a folder"),
        ({"directory": "."}, CmaenError, "contains no images"),
        ({"directory": "s4://faces"}, CmaenError, "s4://faces cannot be read"),
        ({"video": "nothing.mp4"}, VideoError, "cannot be opened as a video: there is no such file"),
        ({"video": "0"}, VideoError, "a webcam is --real-time --camera-index 0"),
        ({"video": "."}, VideoError, "use --directory for the images"),
        ({"video": str(ASTRONAUT.with_suffix(".md"))}, VideoError, "cannot be opened as a video"),
        ({"image": [str(ASTRONAUT)], "checkpoint": Path()}, CheckpointError, "is not a checkpoint"),
        ({"image": [str(ASTRONAUT)], "engine": "magic"}, ConfigError, "not an engine"),
        ({"image": [str(ASTRONAUT)], "detector": "eyes"}, DetectorError, "not a face detector"),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_cannot_be_used_is_named(
    options: dict[str, object],
    error: type[Exception],
    message: str,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(output)
    with pytest.raises(error, match=message):
        inference(**options)


@pytest.mark.parametrize(
    "options",
    [
        ("--batch-size", 0),
        ("--detector-side", 31),
        ("--min-score", 2),
        ("--min-face", -1),
        ("--smoothing", -1),
        ("--camera-index", -1),
        ("--unknown",),
    ],
    ids=lambda options: options[0],
)
def test_values_out_of_their_range_are_refused(options: tuple[object, ...]) -> None:
    assert str(options[0]) in cmaen("inference", "--image", ASTRONAUT, *options, code=2)


def test_options_reach_the_detector_and_the_pipeline(output: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[object] = []

    results = pipeline.FacePipeline.results

    def spy(self: pipeline.FacePipeline, *arguments: object, **options: object) -> object:
        built.append(self)
        return results(self, *arguments, **options)

    monkeypatch.setattr(pipeline.FacePipeline, "results", spy)
    inference(image=[str(ASTRONAUT)], detect=False, batch_size=5, smoothing=0.7)
    inference(image=[str(ASTRONAUT)], detector_side=77, min_score=0.25, min_face=12.5, search_every=1.5)
    first, second = built
    assert (first.detector, first.tuning.batch_size, first.tuning.smoothing) == (None, 5, 0.7)
    assert (first.tuning.detect_every, second.tuning.detect_every) == (Tuning.detect_every, 1.5)
    assert (second.detector.max_side, second.detector.min_score, second.detector.min_face) == (77, 0.25, 12.5)
    assert (second.tuning.batch_size, second.tuning.smoothing) == (Tuning.batch_size, Tuning.smoothing)


def test_below_a_confidence_the_answer_is_uncertain(film: Path, output: Path) -> None:
    text = cmaen(
        "inference", "--image", ASTRONAUT, "--uncertain-below", 1, "--output", output / "r.csv",
        "--annotated", output / "drawn.png",
    )  # fmt: skip
    assert "uncertain" in text
    with (output / "r.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["predicted_emotion"] == "uncertain"
    assert float(row["confidence"]) >= float(row["happy"]) > 0.5
    inference(video=str(film), output=output / "film.json", timeline=output / "film.svg", uncertain_below=1.0)
    assert {face["predicted_emotion"] for record in read(output / "film.json") for face in record["faces"]} == {
        "uncertain"
    }
    assert (output / "film.svg").exists()


def test_a_run_is_not_gone_on_with_under_another_threshold(pictures: Path, output: Path) -> None:
    with pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmaen.inference.run._Sinks.finish", lambda _: sys.exit(3))
        inference(directory=str(pictures), output=output / "r.json", uncertain_below=0.5)
    with pytest.raises(OutputError, match=r"uncertain_below was 0\.5 and is None"):
        inference(directory=str(pictures), output=output / "r.json", resume=True)


def test_the_checkpoint_and_the_engine_are_those_that_are_named(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(Checkpoint.open().folder, folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(
        json.dumps(
            {
                **card,
                "schemes": {
                    name: scheme | {"temperature": 100.0, "confidence_temperature": None}
                    for name, scheme in card["schemes"].items()
                },
            }
        )
    )
    answers = {}
    for name, options in {"shipped": {}, "mine": {"checkpoint": folder}, "torch": {"engine": "torch"}}.items():
        if name == "torch":
            pytest.importorskip("torch")
        inference(image=[str(ASTRONAUT)], output=output / f"{name}.json", **options)
        (answers[name],) = read(output / f"{name}.json")
    assert answers["mine"]["confidence"] < 0.2 < answers["shipped"]["confidence"]
    assert answers["torch"]["confidence"] == pytest.approx(answers["shipped"]["confidence"], abs=0.05)
    assert answers["torch"]["confidence"] != answers["shipped"]["confidence"]


def test_a_run_that_was_stopped_goes_on_with_what_is_left(
    pictures: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = output / "r.json"
    inference(directory=str(pictures), output=output / "whole.jsonl")
    lines = (output / "whole.jsonl").read_text().splitlines()
    with pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmaen.inference.run._Sinks.finish", lambda _: sys.exit(3))
        inference(directory=str(pictures), output=target)
    part = output / "r.json.part"
    part.write_text("".join(part.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(OutputError, match="holds an unfinished run"):
        inference(directory=str(pictures), output=target)
    with pytest.raises(OutputError, match=r"detector was 'yunet, .*' and is None"):
        inference(directory=str(pictures), output=target, resume=True, detect=False)
    capsys.readouterr()
    inference(directory=str(pictures), output=target, resume=True, batch_size=1)
    assert "2 images, 0 faces, 1 error" in capsys.readouterr().out
    assert [record["path"] for record in read(target)] == [json.loads(line)["path"] for line in lines]
    assert not part.exists()


def test_a_long_name_is_shown_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 150 + "the-end.png"
    with pytest.raises(Exit):
        inference(image=[str(tmp_path / name)])
    shown = capsys.readouterr().out
    assert "\u2026" not in shown
    assert "".join(character for character in shown if character.isalpha()).count("x") >= 300


def test_when_everything_is_an_error_so_is_the_exit_status(tmp_path: Path) -> None:
    assert "ImageNotFoundError" in cmaen("inference", "--image", tmp_path / "nothing.png", code=1)
    (tmp_path / "a.png").touch()
    assert "EmptyImageError" in cmaen("inference", "--directory", tmp_path, code=1)


def test_an_error_is_one_line_and_exit_status_2(tmp_path: Path) -> None:
    said = cmaen("inference", "--video", tmp_path / "nothing.mp4", code=2)
    assert said.count("\n") == 1
    assert said.startswith("error: ")


def plain_text_world(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """The command line in a process that knows only ASCII."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "200"}
    command = [sys.executable, "-m", "cmaen", "inference", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX locale")
def test_a_terminal_that_knows_only_ascii(tmp_path: Path) -> None:
    image, records, drawn = tmp_path / "ä ö.png", tmp_path / "ü.json", tmp_path / "ß"
    shutil.copy(ASTRONAUT, image)
    done = plain_text_world("--image", image, "--output", records)
    assert done.returncode == 0, done.stderr
    assert rb"\xe4 \xf6.png" in done.stdout
    assert done.stderr == b""
    assert read(records)[0]["path"] == str(image)
    done = plain_text_world("--directory", tmp_path, "--annotated", drawn)
    assert done.returncode == 0, done.stderr
    assert (drawn / "ä ö.png").exists()
    for arguments in (("--directory", tmp_path / "ñ"), ("--image", image, "--output", tmp_path / "ñ.xml")):
        done = plain_text_world(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith(b"error: ")
        assert b"Traceback" not in done.stderr
        assert done.stderr.isascii()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes")
def test_a_pipe_that_nobody_reads_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "cmaen", "inference", "--image", str(ASTRONAUT)]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert done.stderr == b""


def test_ctrl_c_over_a_folder_leaves_the_part_and_over_a_video_the_file(
    pictures: Path, film: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(write: Callable[..., None]) -> Callable[..., None]:
        def then(self: object, *arguments: object) -> None:
            write(self, *arguments)
            raise KeyboardInterrupt

        return then

    from cmaen.inference.run import _Sinks

    monkeypatch.setattr(_Sinks, "write", interrupted(_Sinks.write))
    with pytest.raises(KeyboardInterrupt):
        inference(directory=str(pictures), output=output / "r.json")
    assert [path.name for path in output.iterdir()] == ["r.json.part"]
    pytest.importorskip("av")
    inference(video=str(film), output=output / "film.json")
    assert len(read(output / "film.json")) == 1


def test_several_images_are_all_looked_at(pictures: Path, output: Path) -> None:
    face, wall = pictures / "below" / "face.png", pictures / "wall.png"
    text = cmaen("inference", "--image", face, "--image", wall, "--image", "https://example.org/a.jpg",
                 "--output", output / "r.json")  # fmt: skip
    assert "3 images, 1 face, 1 error" in text
    assert [record["status"] for record in read(output / "r.json")] == ["ok", "no_face", "error"]
    assert "https://example.org/a.jpg is an address" in str(read(output / "r.json")[2]["error"])
    for option in ("--annotated", "--explain"):
        said = cmaen("inference", "--image", face, "--image", wall, option, output / "x.png", code=2)
        assert "one" in said
    assert not (output / "x.png").exists()


def test_the_limit_of_pixels_is_an_option(pictures: Path, output: Path) -> None:
    said = cmaen("inference", "--image", ASTRONAUT, "--max-megapixels", 0.2, code=1)
    assert "--max-megapixels" in "".join(said.split("\n")).replace("│", "").replace("  ", "")
    inference(directory=str(pictures), output=output / "r.json", max_megapixels=0.2)
    assert [record["status"] for record in read(output / "r.json")] == ["error", "error", "no_face"]


def test_names_cannot_steer_the_terminal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = "a\x1b]0;gone\x07\x1b[2J\x9b31m.png"
    (tmp_path / name).write_text("text")
    try:
        Image.fromarray(plain(RED)).save(tmp_path / f"wall{name}")
    except OSError:
        pytest.skip("this system has no such names")
    for arguments in (("--directory", tmp_path), ("--image", tmp_path / name), ("--image", tmp_path / f"no{name}")):
        code = 0 if arguments[0] == "--directory" else 1
        said = cmaen("inference", *arguments, code=code)
        assert not {"\x1b", "\x07", "\x9b"} & set(said)
        assert "\\x1b" in said
    said = cmaen("inference", "--directory", tmp_path / "no\x1b[31m", code=2)
    assert "\x1b" not in said
    target = tmp_path / "there" / "x\x1b[31m.txt"
    said = cmaen("inference", "--image", ASTRONAUT, "--annotated", target, code=2)
    assert "\x1b" not in said


def test_a_table_of_results_keeps_no_pixels() -> None:
    table = TableSink(only_errors=False)
    assert table.needs == Needs.RECORDS
