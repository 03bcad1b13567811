"""From a folder of faces to a prediction, using only the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("lightning")

from cmaen.checkpoints import Checkpoint
from tests.conftest import EXAMPLES, PLAIN, TINY
from tests.test_cli import cmaen


def test_what_was_trained_is_tested_and_used_without_an_export(
    fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(fer_tree, "data/fer2013")
    model = PLAIN | {"trunk": TINY["trunk"]}
    settings = [f"model.{key}={json.dumps(value)}" for key, value in model.items()]
    settings += ["preprocess.image_size=64", "training.precision=32-true"]
    changes = [part for setting in settings for part in ("--set", setting)]
    said = cmaen("train", "--config", "paper", "--epochs", 1, "--batch-size", 16, "--output", "runs/x", *changes)
    assert f"{model['trunk']} starts from random weights" in said
    text = cmaen("test", "--checkpoint", "runs/x/best", "--split", "validation,test")
    assert "PublicTest and PrivateTest, all faces" in text
    assert "no model.onnx, so PyTorch is used, which is slower; create it: cmaen export" in " ".join(text.split())
    twice = ("--checkpoint", "runs/x/best") * 2
    assert "PublicTest: accuracy" in cmaen("average", *twice, "--output", "runs/mean", "--data", "data/fer2013")
    assert Checkpoint.open("runs/mean").metrics == Checkpoint.open("runs/x/best").metrics
    cmaen("calibrate", "--checkpoint", "runs/x/best")
    photo = (
        "inference",
        "--image",
        EXAMPLES / "astronaut.png",
        "--checkpoint",
        "runs/x/best",
        "--output",
        "faces.json",
    )
    assert "PyTorch is used" in " ".join(cmaen(*photo).split())
    assert json.loads(Path("faces.json").read_text())[0]["status"] == "ok"
    cmaen("export", "--checkpoint", "runs/x/best")
    assert "PyTorch is used" not in " ".join(cmaen(*photo).split())
