"""From a folder of faces to a prediction, using only the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("lightning")

from cmaen.checkpoints import Checkpoint
from cmaen.data.faces import load_faces
from cmaen.data.splits import Split
from cmaen.images.reader import read_image
from cmaen.inference.classifier import FaceClassifier
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


def test_enhanced_faces_are_learnt_and_photographs_are_enhanced_like_them_in_three_commands(
    fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("spandrel")
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 1), ("validation", 1)):
        for folder in (fer_tree / split).iterdir():
            for path in sorted(folder.iterdir())[:count]:
                Path("faces", split, folder.name).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, Path("faces", split, folder.name))
    cmaen("enhance", "--input-dir", "faces", "--output-dir", "better")
    model = PLAIN | {"trunk": TINY["trunk"]}
    settings = [f"model.{key}={json.dumps(value)}" for key, value in model.items()]
    settings += ["preprocess.image_size=64", "preprocess.source_size=96", "preprocess.grey=false"]
    changes = [part for setting in (*settings, "training.precision=32-true") for part in ("--set", setting)]
    options = ("--data", "better", "--epochs", 1, "--batch-size", 7, "--output", "run")
    assert "left out" not in cmaen("train", "--config", "paper", *options, *changes)
    cmaen("inference", "--image", EXAMPLES / "astronaut.png", "--checkpoint", "run/best", "--output", "faces.json")
    assert json.loads(Path("faces.json").read_text())[0]["status"] == "ok"
    assert [entry.partition(" ")[0] for entry in Checkpoint.open("run/best").card.enhancement] == [
        "faces",
        "super-resolution",
        "colorization",
    ]
    learnt = load_faces(Path("better"), Split.TRAIN, colour=True)
    network = FaceClassifier("run/best")
    expected = network.probabilities(network.card.preprocess(list(learnt.images)))
    assert network([read_image(Path("faces") / name) for name in learnt.names]) == pytest.approx(expected, abs=1e-4)
    assert "enhanced by nothing" in cmaen("test", "--checkpoint", "run/best", "--data", "faces", code=2)
