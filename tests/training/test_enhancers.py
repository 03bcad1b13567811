from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("spandrel")

from cmaen.enhance.steps import build_chain  # noqa: E402
from cmaen.errors import CheckpointError, ConfigError  # noqa: E402
from cmaen.training.config import load_enhancer_config  # noqa: E402
from cmaen.training.enhancers import TASKS, train_enhancer  # noqa: E402
from tests.test_cli import cmaen  # noqa: E402


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for number in range(24):
        coarse = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(cv2.resize(coarse, (200, 200), interpolation=cv2.INTER_CUBIC)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("step", TASKS)
def test_a_task_ends_in_weights_that_enhance(
    step: str, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = []  # exporting takes a while and has a test of its own
    monkeypatch.setattr("cmaen.training.enhancers.export_step", lambda *arguments: exported.append(arguments))
    config = ("train-enhancer", "--config", step, "--data", faces, "--output", tmp_path)
    settings = ("--set", "training.batch_size=8", "--set", "training.precision=32-true")
    text = cmaen(*config, *settings, "--set", "training.epochs=1")
    path = tmp_path / f"{step}.safetensors"
    assert str(path) in text
    assert exported == [(step, path, tmp_path / f"{step}.onnx")]
    about = json.loads(path.with_suffix(".json").read_text())
    assert (about["step"], about["data"], about["epochs"]) == (step, [faces.name], 1)
    (built,) = build_chain([step], {step: str(path)})
    grey = np.full((1, 16, 16, 3), 128, np.uint8)
    assert built(grey).shape == ((1, 64, 64, 3) if step == "super-resolution" else grey.shape)
    assert "already holds a run" in cmaen(*config, *settings, code=2)
    assert "another configuration" in cmaen(*config, *settings, "--set", "training.epochs=2", "--resume", code=2)


def test_a_run_that_is_not_there_cannot_go_on(faces: Path, tmp_path: Path) -> None:
    config = load_enhancer_config("colorization", {"data": [faces], "output": tmp_path})
    with pytest.raises(CheckpointError, match="nothing to resume"):
        train_enhancer(config, resume=True)
    with pytest.raises(ConfigError, match="step"):
        load_enhancer_config("colorization", {"step": "sharpening"})


@pytest.mark.parametrize("step", TASKS)
def test_the_right_answer_is_the_best(step: str) -> None:
    task = TASKS[step]
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    colour = np.stack([cv2.resize(face, (200, 200), interpolation=cv2.INTER_CUBIC) for face in coarse])
    targets = torch.from_numpy(task.pairs(colour, None).targets)
    worse = targets + (0.1 if step == "super-resolution" else 5) * torch.randn(targets.shape)
    assert task.loss(targets, targets) < task.loss(worse, targets)
    assert task.quality(targets, targets) > task.quality(worse, targets)
