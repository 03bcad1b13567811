"""What the options of `cmaen inference` do, and those that are refused."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from cmaen.checkpoints import Checkpoint
from cmaen.cli.inference import inference
from cmaen.errors import CheckpointError, CmaenError, ConfigError, DetectorError, OutputError, VideoError
from cmaen.inference import pipeline
from cmaen.inference.tuning import Tuning
from tests.conftest import EXAMPLES
from tests.inference.records import read
from tests.test_cli import cmaen

ASTRONAUT = EXAMPLES / "astronaut.png"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "choose exactly one of --image, --directory, --video or --real-time"),
        ({"image": [str(ASTRONAUT)], "directory": "x"}, "choose exactly one of"),
        ({"video": "x", "real_time": True}, "choose exactly one of"),
        ({"image": [str(ASTRONAUT)], "engine": "ray"}, "--engine ray works with --directory only"),
        ({"video": "x.mp4", "engine": "ray"}, "--engine ray works with --directory only"),
        ({"directory": "x", "engine": "ray", "device": "cuda"}, "leave --device out"),
        ({"image": [str(ASTRONAUT)], "device": "quantum"}, "'quantum' is not a device of ONNX Runtime"),
        (
            {"image": [str(ASTRONAUT)], "save_video": Path("x.mp4")},
            "--save-video, --timeline and --per-person work with",
        ),
        ({"directory": "x", "timeline": Path("x.png")}, "--save-video, --timeline and --per-person work with"),
        (
            {"image": [str(ASTRONAUT)], "every": 0.5},
            "--every, --every-frame, --start and --end work with --video and --real-time",
        ),
        ({"directory": "x", "start": 1.0}, "--every, --every-frame, --start and --end work with"),
        ({"directory": "x", "end": 1.0}, "--every, --every-frame, --start and --end work with"),
        ({"video": "x.mp4", "start": 2.0, "end": 1.5}, r"--end must be later than --start \(2 s\), not 1.5 s"),
        ({"real_time": True, "end": 0.0}, "--end must be later than --start"),
        ({"video": "x.mp4", "annotated": Path("x.png")}, "--annotated works with --image, or with --directory"),
        ({"real_time": True, "annotated": Path("x.png")}, "--annotated works with --image, or with --directory"),
        ({"directory": "s3://x", "annotated": Path("x")}, "--annotated works with .* on this machine"),
        ({"directory": "x", "resume": True}, "--resume works with --directory or --video, and --output"),
        ({"image": [str(ASTRONAUT)], "output": Path("x.json"), "resume": True}, "--resume works with"),
        ({"video": "x.mp4", "anonymise": True}, "--anonymise hides the faces in .* and none is written"),
        ({"directory": "x", "anonymise": True, "output": Path("x.json"), "chart": Path("x.png")}, "none is written"),
        ({"real_time": True, "anonymise": True, "display": False}, "none is written"),
        (
            {"image": [str(ASTRONAUT)], "anonymise": True, "annotated": Path("x.png"), "explain": Path("y.png")},
            "--explain shows the faces themselves",
        ),
        ({"video": "x.mp4", "resume": True}, "--resume works with"),
        (
            {"video": ["x.mp4", "a b.mp4"]},
            "--video takes one video, not 2; for several, use cmaen predict x.mp4 'a b.mp4'",
        ),
        ({"real_time": True, "output": Path("x.json"), "resume": True}, "--resume works with"),
        ({"video": "rtsp://x", "output": Path("x.json"), "resume": True}, "it cannot continue a stream"),
        ({"image": [str(ASTRONAUT)], "output": Path("x.eaf")}, "x.eaf is for the episodes of a video: it works with"),
        ({"directory": "x", "output": [Path("x.csv"), Path("x.vtt")]}, "x.vtt is for the episodes of a video"),
        ({"video": "x.mp4", "output": [Path("x.csv"), Path("x.csv")]}, "two options would write to x.csv"),
        (
            {"video": "x.mp4", "output": [Path("x_events.tsv"), Path("x_events.json")]},
            "two options would write to x_events.json",
        ),
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
    assert "unsure: maybe happy or" in text
    with (output / "r.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["predicted_emotion"] == "uncertain"
    assert float(row["confidence"]) >= float(row["happy"]) > 0.5
    inference(video=str(film), output=output / "film.json", timeline=output / "film.svg", uncertain_below=1.0)
    assert {face["predicted_emotion"] for record in read(output / "film.json") for face in record["faces"]} == {
        "uncertain"
    }
    assert (output / "film.svg").exists()


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


def test_the_limit_of_pixels_is_an_option(pictures: Path, output: Path) -> None:
    said = cmaen("inference", "--image", ASTRONAUT, "--max-megapixels", 0.2, code=1)
    assert "--max-megapixels" in "".join(said.split("\n")).replace("│", "").replace("  ", "")
    inference(directory=str(pictures), output=output / "r.json", max_megapixels=0.2)
    assert [record["status"] for record in read(output / "r.json")] == ["error", "error", "no_face"]
