from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from cmaen.cli.crop import CropOptions
from cmaen.cli.inference import InferenceOptions
from cmaen.cli.options import FaceOptions, takes
from cmaen.cli.serving import ServeOptions
from cmaen.errors import ConfigError
from cmaen.inference.detectors import DetectorOptions
from cmaen.inference.spec import PipelineSpec
from cmaen.resources import usable_cores
from cmaen.serving.settings import SERVED, Limits, Settings

CHANGED = {
    "threshold": ("uncertain_below", 0.5),
    "batch_size": ("batch_size", 3),
    "smoothing": ("smoothing", 1.5),
    "detect_every": ("search_every", 0.7),
    "scheme": ("scheme", "fer2013"),
    "contempt": ("contempt", True),
    "engine": ("engine", "torch"),
    "device": ("device", "cuda"),
    "detector": ("detector", "centerface:x.onnx"),
    "max_pixels": ("max_megapixels", 2.5),
    "checkpoint": ("checkpoint", "owner/name"),
}


def test_the_usual_options_are_the_usual_spec() -> None:
    assert InferenceOptions(image=["x"]).to_spec() == PipelineSpec()
    assert InferenceOptions(directory="x").to_spec() == PipelineSpec(throughput=True)
    assert InferenceOptions(directory="x", engine="ray").to_spec() == PipelineSpec(throughput=True)
    assert CropOptions(input_dir=Path("a"), output_dir=Path("b")).to_spec() == PipelineSpec(throughput=True)
    assert InferenceOptions(image=["x"], detect=False).to_spec() == PipelineSpec(detector=None)


@pytest.mark.parametrize("name", CHANGED)
def test_every_option_reaches_its_setting(name: str) -> None:
    option, value = CHANGED[name]
    expected = round(value * 1e6) if name == "max_pixels" else value  # type: ignore[operator]
    assert InferenceOptions(image=["x"], **{option: value}).to_spec() == PipelineSpec(**{name: expected})


def test_the_detectors_options_reach_it() -> None:
    given = {"detector_side": 77, "min_score": 0.25, "min_face": 12.5}
    for kind in (InferenceOptions, ServeOptions, FaceOptions):
        assert kind(**given).to_spec().options == DetectorOptions(77, 0.25, 12.5)


def test_a_server_of_which_nothing_is_said_has_the_usual_limits() -> None:
    assert ServeOptions().to_limits() == Limits()
    spec = ServeOptions(workers=1000).to_spec()
    assert spec == replace(SERVED, workers=1, max_pixels=Limits().pixels)
    assert ServeOptions(engine="ray").to_spec().engine == "onnx"
    assert ServeOptions().to_spec().workers == usable_cores()
    large = ServeOptions(max_megabytes=100).to_limits()
    assert large.held_bytes == 8 * large.body_bytes
    with pytest.raises(ConfigError, match=r"images must be at least 1.*; .*seconds must be above 0"):
        Limits(images=0, seconds=0)


def test_settings_survive_the_environment_of_a_process(tmp_path: Path) -> None:
    local = pytest.importorskip("cmaen.serving.local")
    spec = replace(SERVED, checkpoint=tmp_path, workers=3, scheme="fer2013", options=DetectorOptions(min_face=20))
    settings = Settings(pipeline=spec, api_key="secret")
    again = local._SETTINGS.validate_json(local._SETTINGS.dump_json(settings))
    assert again.pipeline.open_checkpoint().folder == spec.open_checkpoint().folder
    assert replace(again.pipeline, checkpoint=spec.checkpoint) == spec
    assert replace(again, pipeline=spec) == settings


@dataclass(frozen=True, kw_only=True)
class Shared:
    verbose: Annotated[bool, typer.Option("--verbose")] = False


@dataclass(frozen=True, kw_only=True)
class Own(Shared):
    name: Annotated[str, typer.Option(help="Whose.")]
    count: Annotated[int, typer.Option(min=1)] = 2


def test_a_verb_takes_its_options_as_one_value() -> None:
    seen: list[Own] = []

    @takes(Own)
    def greet(options: Own) -> None:
        """Greet somebody."""
        seen.append(options)

    app = typer.Typer()
    app.command()(greet)
    run = CliRunner().invoke
    assert run(app, ["--name", "a", "--verbose"]).exit_code == 0
    assert run(app, ["--name", "b", "--count", "3"]).exit_code == 0
    greet(name="c")
    assert seen == [Own(name="a", verbose=True), Own(name="b", count=3), Own(name="c")]
    assert run(app, []).exit_code == 2  # the name is missing
    assert run(app, ["--name", "a", "--count", "0"]).exit_code == 2
    said = run(app, ["--help"], env={"COLUMNS": "120"}).output
    assert "Greet somebody." in said
    assert said.index("--name") < said.index("--verbose")


def test_no_default_is_repeated_by_an_option_of_a_setting() -> None:
    """Changing a default of the spec changes that of the command line."""
    named = {one.name: one.default for one in fields(InferenceOptions)}
    for name, (option, _) in CHANGED.items():
        default = getattr(PipelineSpec, name)
        assert named[option] == (default / 1e6 if name == "max_pixels" else default)
