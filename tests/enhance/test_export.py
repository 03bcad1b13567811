from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("spandrel")
pytest.importorskip("onnxscript")

from safetensors.torch import save_file  # noqa: E402

from cmaen.enhance.export import export_step  # noqa: E402
from cmaen.enhance.onnx import open_step  # noqa: E402
from cmaen.enhance.recipe import NamedStep  # noqa: E402
from cmaen.enhance.steps import SuperResolution  # noqa: E402
from cmaen.errors import CheckpointError, ConfigError  # noqa: E402
from cmaen.files import sha256  # noqa: E402
from tests.enhance.test_onnx import SESSION  # noqa: E402


def small_swinir() -> Any:
    from spandrel.architectures.SwinIR import SwinIR

    sizes = {"embed_dim": 8, "depths": [2], "num_heads": [2], "window_size": 8, "img_size": 16}
    return SwinIR(upscale=4, upsampler="pixelshuffledirect", **sizes)


def test_an_exported_network_computes_the_same_at_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    state = small_swinir().state_dict()
    weights, target = tmp_path / "w.safetensors", tmp_path / "w.onnx"
    save_file({name: value.half() if value.is_floating_point() else value for name, value in state.items()}, weights)
    monkeypatch.setattr("cmaen.enhance.export.light_swinir", small_swinir)
    export_step("super-resolution", weights, target)
    step = open_step(NamedStep("super-resolution", sha256(weights)), target, SESSION)
    assert step is not None
    original = SuperResolution(weights)
    for count, height, width in ((1, 16, 16), (2, 8, 24), (3, 20, 9), (5, 16, 16)):  # 1 and 2 are easily fixed
        faces = np.random.default_rng(count).integers(0, 256, (count, height, width, 3)).astype(np.uint8)
        assert np.abs(step(faces).astype(int) - original(faces)).max() <= 1, (count, height, width)


def test_what_is_no_step_or_has_other_weights_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose from super-resolution, colorization"):
        export_step("sharpening", tmp_path / "w.safetensors", tmp_path / "w.onnx")
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        export_step("colorization", tmp_path / "w.safetensors", tmp_path / "w.onnx")
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="does not fit colorization"):
        export_step("colorization", tmp_path / "w.safetensors", tmp_path / "w.onnx")
    assert not (tmp_path / "w.onnx").exists()
