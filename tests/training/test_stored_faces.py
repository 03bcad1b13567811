"""Faces in a file, through training and measurement: as if they were in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import cmaen  # noqa: E402
from cmaen.checkpoints import Checkpoint  # noqa: E402
from cmaen.data import cache  # noqa: E402
from cmaen.data import stored as stored_module  # noqa: E402
from cmaen.data.augmentation import AugmentSpec  # noqa: E402
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.leaks import find_leaks  # noqa: E402
from cmaen.data.splits import FaceSet, Split  # noqa: E402
from cmaen.data.stored import ImageFile, StoredImages  # noqa: E402
from cmaen.evaluation import assessment  # noqa: E402
from cmaen.evaluation.assessment import measure_robustness  # noqa: E402
from cmaen.evaluation.run import logits_of, validate  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.training.batches import FaceBatches, Picks, train_loader, validation_loader  # noqa: E402
from cmaen.training.config import Config  # noqa: E402
from cmaen.training.run import train  # noqa: E402
from tests.conftest import PLAIN  # noqa: E402


def both(folder: Path, split: Split, *channels: int) -> tuple[FaceSet, FaceSet]:
    """The same faces in memory and in a file."""
    images = np.random.default_rng(0).integers(0, 256, (24, 72, 72, *channels), np.uint8)
    faces = FaceSet(split, images, np.arange(24) % 7, tuple(map(str, range(24))))
    (folder / "images").write_bytes(images.tobytes())
    return faces, faces.with_images(StoredImages([ImageFile(folder / "images", images.shape)]))


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("source", [48, None])
def test_the_batches_are_the_same(source: int | None, channels: tuple[int, ...], tmp_path: Path) -> None:
    spec = PreprocessSpec(image_size=64, source_size=source, grey=not channels)
    augmentation = AugmentSpec(operations=1, mixup=0.3)
    plain, stored = (
        list(train_loader(faces, spec, augmentation, batch_size=8, seed=3))
        for faces in both(tmp_path, Split.TRAIN, *channels)
    )
    assert len(plain) == 3
    for one, other in zip(plain, stored, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
    plain, stored = (
        [batch.images for batch in validation_loader(faces, spec, batch_size=10)]
        for faces in both(tmp_path, Split.VALIDATION, *channels)
    )
    assert all(torch.equal(a, b) for a, b in zip(plain, stored, strict=True))


def test_a_file_keeps_its_faces_off_the_device_until_they_are_asked_for(tmp_path: Path) -> None:
    _, stored = both(tmp_path, Split.TRAIN)
    batches = FaceBatches(
        stored, PreprocessSpec(image_size=64), augmentation=AugmentSpec(), device=torch.device("meta")
    )
    batch = batches[Picks(torch.arange(8), seed=0)]
    assert batches.faces.images.numel() == 0
    assert (batch.images.device.type, batch.images.shape) == ("meta", (8, 3, 64, 64))


def test_measurements_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, stored = both(tmp_path, Split.VALIDATION)
    spec = PreprocessSpec(image_size=32, source_size=None)
    weights = np.random.default_rng(1).normal(size=(3 * 32 * 32, 7)).astype(np.float32) / 50

    def engine(batch: np.ndarray) -> np.ndarray:
        return batch.reshape(len(batch), -1) @ weights

    for mirrored in (False, True):
        assert np.array_equal(*(logits_of(faces, spec, engine, mirrored=mirrored) for faces in (plain, stored)))
    whole = measure_robustness(plain, spec, engine, np.random.default_rng(0))
    assert whole == measure_robustness(stored, spec, engine, np.random.default_rng(0))  # it is a single block
    monkeypatch.setattr(stored_module, "BLOCK", 5 * 72 * 72)
    parts = measure_robustness(stored, spec, engine, np.random.default_rng(0))
    assert parts["accuracy"]["blur"] == whole["accuracy"]["blur"]
    assert parts["accuracy"]["noise"] == whole["accuracy"]["noise"]  # numbers are drawn face by face


def test_a_run_over_faces_in_a_file_is_the_same_run(
    fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMAEN_CACHE", str(tmp_path / "cache"))
    digests, seen = set(), set()
    for name, largest in (("memory", 2**30), ("file", 0)):
        monkeypatch.setattr(cache, "IN_MEMORY", largest)
        config = Config(
            data={"path": fer_tree, "inner_validation": True, "leave_out": "near", "limit": 40},
            preprocess={"image_size": 32, "source_size": 40},
            model=PLAIN,
            augment={"operations": 1, "mixup": 0.2},
            training={"epochs": 1, "batch_size": 20, "device": "cpu"},
            output=tmp_path / name,
        )
        best = Checkpoint.open(train(config))
        digests.add((best.card.sha256["model.safetensors"], best.provenance.recorded["sha256"]))
        seen.add(best.seen)
        assert (tmp_path / "cache" / cache.FOLDER).is_dir() == (name == "file")
    assert len(digests) == len(seen) == 1


def test_a_checkpoint_is_measured_on_faces_in_a_file(
    checkpoint: Path, fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMAEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assessment, "SEVERITIES", (1, 5))  # all of them are measured in the same way
    found = []
    for largest in (2**30, 0):
        monkeypatch.setattr(cache, "IN_MEMORY", largest)
        measured = cmaen.evaluate(checkpoint, fer_tree, split="validation,test", mirrored=True, robustness=True)
        found.append((measured.to_dict(), measured.logits.tolist(), find_leaks(fer_tree).to_dict()))
    assert isinstance(measured.faces.images, StoredImages)
    assert found[0] == found[1]
    validate(checkpoint, load_faces(fer_tree, Split.VALIDATION))
