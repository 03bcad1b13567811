"""Coloured faces larger than the network's input: from a folder to a batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from cmaen.checkpoints import Checkpoint  # noqa: E402
from cmaen.data.augmentation import AugmentSpec  # noqa: E402
from cmaen.data.balancing import balance  # noqa: E402
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.leakage import find_copies  # noqa: E402
from cmaen.data.splits import Split  # noqa: E402
from cmaen.data.tree import write_tree  # noqa: E402
from cmaen.errors import DataError  # noqa: E402
from cmaen.evaluation.corruptions import CORRUPTIONS  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.training.batches import FaceBatches, Picks  # noqa: E402
from cmaen.training.config import Config  # noqa: E402
from cmaen.training.run import train  # noqa: E402
from cmaen.types import EMOTIONS  # noqa: E402
from tests.conftest import EXAMPLES, PLAIN  # noqa: E402
from tests.test_cli import cmaen  # noqa: E402


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Write two faces of each emotion, 96 pixels, orange or blue."""
    rng = np.random.default_rng(0)
    for emotion in EMOTIONS:
        for number, colour in enumerate(((250, 120, 20), (20, 60, 200))):
            path = tmp_path / "train" / emotion / f"Training_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((rng.random((96, 96, 3)) * 0.3 * 255 + 0.7 * np.array(colour)).astype(np.uint8)).save(path)
    return tmp_path


def test_colour_is_kept_where_it_is_asked_for(tree: Path, fer_tree: Path, tmp_path: Path) -> None:
    coloured = load_faces(tree, Split.TRAIN, colour=True)
    assert coloured.images.shape == (14, 96, 96, 3)
    assert load_faces(tree, Split.TRAIN).images.shape == (14, 96, 96)
    write_tree(coloured, tmp_path / "again")
    assert np.array_equal(load_faces(tmp_path / "again", Split.TRAIN, colour=True).images, coloured.images)
    with pytest.raises(DataError, match=r"have no colour.*preprocess\.grey=true"):
        load_faces(fer_tree, Split.TRAIN, colour=True)
    (tmp_path / "fer.csv").write_text("emotion,pixels,Usage\n")
    with pytest.raises(DataError, match="Kaggle's CSV is grey"):
        load_faces(tmp_path / "fer.csv", Split.TRAIN, colour=True)


@pytest.mark.parametrize("source_size", [48, None])
@pytest.mark.parametrize("grey", [True, False])
def test_training_sees_what_prediction_sees(source_size: int | None, grey: bool, tree: Path) -> None:
    faces = load_faces(tree, Split.TRAIN, colour=not grey)
    spec = PreprocessSpec(image_size=64, source_size=source_size, grey=grey)
    picks = Picks(torch.arange(14), seed=0)
    batch = FaceBatches(faces, spec)[picks].images
    assert np.allclose(batch, spec(list(faces.images)))
    augmented = FaceBatches(faces, spec, augmentation=AugmentSpec(operations=2))[picks].images
    assert augmented.shape == (14, 3, 64, 64)
    detail = batch.diff(dim=-1).abs().mean()
    assert 0.4 * detail < augmented.diff(dim=-1).abs().mean() < 2 * detail  # the detail of 48 pixels, not 96


@pytest.mark.parametrize("method", ["borderline-smote", "augment"])
def test_faces_in_colour_are_balanced_in_colour(method: str, tree: Path) -> None:
    balanced = balance(load_faces(tree, Split.TRAIN, colour=True), target=4, method=method, seed=0)
    made = balanced.faces.images[balanced.synthetic].astype(int)
    assert made.shape == (14, 96, 96, 3)
    assert (np.abs(made[..., 0] - made[..., 2]).mean(axis=(1, 2)) > 1).all()


def test_what_was_done_to_the_faces_travels_in_the_card(fer_tree: Path, tmp_path: Path) -> None:
    enhanced = tmp_path / "enhanced"
    shutil.copytree(fer_tree, enhanced)
    (enhanced / "manifest.json").write_text('{"chain": ["super-resolution"]}')
    plan = Config(
        data={"path": enhanced},
        preprocess={"image_size": 32},
        model=PLAIN,
        optimiser={"warmup_epochs": 0},
        training={"epochs": 1, "batch_size": 28},
        output=tmp_path / "run",
    )
    best = train(plan)
    assert Checkpoint.open(best).card.enhancement == ("super-resolution",)
    for verb in ("test", "calibrate"):
        arguments = (verb, "--data", fer_tree, "--checkpoint", best, "--engine", "torch")
        assert "enhanced by super-resolution, but those of" in cmaen(*arguments, code=2)
    assert "PublicTest" in cmaen("test", "--data", enhanced, "--checkpoint", best, "--engine", "torch")
    refused = cmaen(
        "inference", "--image", EXAMPLES / "astronaut.png", "--checkpoint", best, "--engine", "torch", code=2
    )
    assert "'super-resolution' without the checksum of its weights" in refused
    (enhanced / "manifest.json").write_text("[]")
    assert "manifest.json cannot be read" in cmaen(
        "test", "--data", enhanced, "--checkpoint", best, "--engine", "torch", code=2
    )


def test_copies_and_corruptions_of_faces_in_colour(tree: Path) -> None:
    faces = load_faces(tree, Split.TRAIN, colour=True)
    assert {(copy.first, copy.second) for copy in find_copies(faces, faces) if copy.kind == "exact"} >= {(0, 0), (5, 5)}
    for corrupt in CORRUPTIONS.values():
        assert corrupt(faces.images, 3, np.random.default_rng(0)).shape == faces.images.shape
