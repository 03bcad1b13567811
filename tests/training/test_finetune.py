"""``cmaen finetune``: from a folder to a checkpoint that is exported, calibrated and measured, with nothing to set."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("lightning")

import numpy as np
import torch

from cmaen.checkpoints import Card, Checkpoint, Scheme
from cmaen.errors import ExportError
from cmaen.models.build import build_network
from cmaen.models.checkpoint import save_checkpoint
from cmaen.models.spec import ModelSpec
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import EMOTIONS, FER2013, OWN, PERCEIVED, PERCEIVED_LABELS
from tests.conftest import PLAIN, drawn_face
from tests.test_cli import cmaen


def draw(root: Path, names: tuple[str, ...], count: int, *, prefix: str = "") -> Path:
    """A folder of faces, of which each class has a bright bar in a place of its own."""
    rng = np.random.default_rng(len(names))
    number = 0
    for index, name in enumerate(names):
        (root / name).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            Image.fromarray(drawn_face(index, rng)).save(root / name / f"{prefix}{number}.png")
            number += 1
    return root


def test_a_folder_becomes_a_checkpoint_that_is_whole(tmp_path: Path) -> None:
    torch.manual_seed(0)
    architecture = PLAIN | {"emotion_heads": True}  # little to export
    network = build_network(ModelSpec(**architecture), perceived=len(PERCEIVED_LABELS))
    schemes = {FER2013: Scheme(EMOTIONS), PERCEIVED: Scheme(PERCEIVED_LABELS)}
    checkpoint = tmp_path / "initial"
    save_checkpoint(network, Card("plain", architecture, PreprocessSpec(image_size=64), schemes=schemes), checkpoint)
    data = draw(tmp_path / "moods", ("calm", "pleased", "upset"), 10, prefix="Training_")
    run = tmp_path / "run"
    options = ("--checkpoint", checkpoint, "--output", run, "--epochs", 1, "--batch-size", 8)
    said = cmaen("finetune", data, *options)
    best = Checkpoint.open(run / "best")
    assert best.card.labels == ("calm", "pleased", "upset")
    assert best.card.name == "run"
    assert (run / "best" / "model.onnx").is_file()
    assert OWN in best.metrics.calibration
    assert "file names begin with Training_" in said
    assert "pleased" in said
    assert "these faces were also used to choose the epoch" in said
    for command in ("predict PHOTO --checkpoint", "serve --checkpoint", f"test --checkpoint {run / 'best'} --data"):
        assert f"  cmaen {command}" in said
    assert "--resume" in cmaen("finetune", data, *options, code=2)


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each export fail, which takes no time."""

    def fail(*_: object, **__: object) -> None:
        raise ExportError("the two networks differ")

    monkeypatch.setattr("cmaen.export.export", fail)


def test_a_test_split_is_what_is_measured_and_emotions_keep_their_heads(
    tmp_path: Path, checkpoint: Path, no_export: None
) -> None:
    names = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprised")
    for split, count in (("train", 6), ("test", 2)):
        draw(tmp_path / "data" / split, names, count)

    said = cmaen("finetune", tmp_path / "data", "--checkpoint", checkpoint, "--output", tmp_path / "run", "--epochs", 1)
    assert Checkpoint.open(tmp_path / "run" / "best").card.labels == EMOTIONS
    assert "14 faces of test" in said
    assert "in place of" not in said, "the heads are kept"
    assert "these faces were also used to choose the epoch" not in said
    assert "not exported, so PyTorch computes the answers: the two networks differ" in said


def test_a_folder_that_cannot_be_learnt_from_is_told_at_once(tmp_path: Path) -> None:
    flat = draw(tmp_path, ("flat",), 3) / "flat"
    for place, reason in {flat: "no class folders", tmp_path / "nothing": "does not exist"}.items():
        said = cmaen("finetune", place, "--output", tmp_path / "run", code=2)
        assert reason in said
        assert "precision" not in said
        assert not (tmp_path / "run").exists()


def test_numbers_are_learnt_under_their_names(tmp_path: Path, checkpoint: Path, no_export: None) -> None:
    data = draw(tmp_path / "numbered", ("0", "1"), 10)
    run = tmp_path / "run"
    options = ("--names", "0=calm,1=upset", "--checkpoint", checkpoint, "--output", run, "--epochs", 1)
    said = cmaen("finetune", data, *options)
    assert Checkpoint.open(run / "best").card.labels == ("calm", "upset")
    assert "--names 0=calm,1=upset" in said.replace("\n", "")
    assert "is not LABEL=NAME" in cmaen("finetune", data, "--names", "calm", code=2)
