from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from cmaen.checkpoints import Checkpoint, Provenance
from cmaen.data.faces import load_faces
from cmaen.data.splits import Split
from cmaen.engines import build_engine
from cmaen.errors import CheckpointError, ConfigError, DataError, SplitError
from cmaen.training.distillation import KeptAnswers, describe_teacher, identify_teacher, match_prior, teacher_answers
from tests.conftest import change_card


def test_the_answers_are_distributions_with_the_shares_of_the_labels(
    fer_tree: Path, checkpoint: Path, tmp_path: Path
) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    other = KeptAnswers.ask(faces, checkpoint)
    KeptAnswers(other.logits[..., ::-1], None, other.about).write(tmp_path / "kept.npz")
    answers = teacher_answers(faces, [checkpoint, checkpoint], temperature=1.0, cache=tmp_path)
    assert answers.shape == (len(faces), 7)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(answers.mean(axis=0), 1 / 7, atol=1e-4)
    once, thrice = (
        teacher_answers(faces, [checkpoint, tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path, shares=shares)
        for shares in ((1, 1), (3, 1))
    )
    own = teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path)
    assert np.abs(thrice - own).max() < np.abs(once - own).max()
    softer = teacher_answers(faces, [checkpoint], temperature=5.0, cache=tmp_path)
    assert softer.max() < answers.max()


def test_a_teacher_is_asked_once(
    fer_tree: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    first = teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path)
    monkeypatch.setattr("cmaen.training.distillation.build_engine", None)
    assert np.array_equal(first, teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path))
    (cached,) = tmp_path.glob("*.npz")
    cached.write_bytes(cached.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read as a teacher's answers"):
        teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path)


def test_a_teacher_of_any_name_has_a_file_of_answers(fer_tree: Path, checkpoint: Path, tmp_path: Path) -> None:
    teacher, cache = tmp_path / "teacher", tmp_path / "cache"
    shutil.copytree(checkpoint, teacher)
    change_card(teacher, name='../a:b? "c"')
    faces = load_faces(fer_tree, Split.TRAIN)
    teacher_answers(faces, [teacher], temperature=1.0, cache=cache)
    (cached,) = cache.iterdir()
    assert cached.name.startswith("..-a-b-c--")


def test_answers_are_kept_without_the_teacher(fer_tree: Path, checkpoint: Path, tmp_path: Path) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    KeptAnswers.ask(faces, checkpoint).write(tmp_path / "kept.npz")
    asked = teacher_answers(faces, [checkpoint], temperature=2.0, cache=tmp_path)
    kept = teacher_answers(faces, [tmp_path / "kept.npz"], temperature=2.0, cache=tmp_path)
    assert np.allclose(asked, kept, atol=1e-3)
    assert identify_teacher(tmp_path / "kept.npz")[0] == identify_teacher(checkpoint)[0] == "tiny"
    with pytest.raises(DataError, match="faces other than"):
        teacher_answers(faces.select(np.arange(3)), [tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path)
    with pytest.raises(SplitError):
        KeptAnswers.ask(load_faces(fer_tree, Split.VALIDATION), checkpoint)


@pytest.mark.parametrize(("device", "engine"), [("cpu", "onnx"), ("cuda", "torch")])
def test_a_gpu_asks_the_trained_weights(
    device: str, engine: str, fer_tree: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    built = []

    def noted(name: str, folder: Path, **options: str) -> object:
        built.append((name, options.get("device", "cpu")))
        return build_engine(name, folder)

    monkeypatch.setattr("cmaen.training.distillation.build_engine", noted)
    monkeypatch.setattr("cmaen.training.distillation.torch_device", torch.device)
    answers = KeptAnswers.ask(load_faces(fer_tree, Split.TRAIN), checkpoint, device=device)
    assert built == [(engine, device)]
    assert np.isfinite(answers.logits).all()


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04"])
def test_damaged_answers_are_named(damage: bytes, fer_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.npz").write_bytes(damage)
    with pytest.raises(DataError, match=r"kept\.npz"):
        teacher_answers(load_faces(fer_tree, Split.TRAIN), [tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path)


def test_only_training_is_taught_and_only_by_what_is_there(fer_tree: Path, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitError):
        teacher_answers(load_faces(fer_tree, Split.VALIDATION), [checkpoint], temperature=1.0, cache=tmp_path)
    with pytest.raises(CheckpointError):
        teacher_answers(load_faces(fer_tree, Split.TRAIN), [tmp_path / "no"], temperature=1.0, cache=tmp_path)


def test_matching_the_prior_by_hand() -> None:
    answers = np.array([[0.8, 0.2], [0.8, 0.2]])
    assert np.allclose(match_prior(answers, np.array([0, 1])), 0.5)
    skewed = np.array([[0.9, 0.1], [0.6, 0.4]])
    matched = match_prior(skewed, np.array([0, 1]))
    assert np.allclose(matched.mean(axis=0), 0.5, atol=1e-4)
    odds = matched[:, 0] / matched[:, 1]
    assert odds[0] / odds[1] == pytest.approx((0.9 / 0.1) / (0.6 / 0.4))  # one factor for all


def test_teachers_are_told_apart_in_a_card(checkpoint: Path, fer_tree: Path, tmp_path: Path) -> None:
    named = Path(shutil.copytree(checkpoint, tmp_path / "named"))
    made = Provenance(seed=3, revision="0118345" + 33 * "f")
    Checkpoint(named).amend(lambda now: replace(now, provenance=made))
    assert describe_teacher(named) == "tiny (seed 3, revision 0118345)"
    KeptAnswers.ask(load_faces(fer_tree, Split.TRAIN), named).write(tmp_path / "kept.npz")
    assert describe_teacher(tmp_path / "kept.npz") == describe_teacher(named)
    assert describe_teacher(checkpoint) == "tiny"


def test_answers_of_another_device_are_others(
    fer_tree: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    own = teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path, device="auto")
    (cached,) = tmp_path.glob("*.npz")
    kept = KeptAnswers.read(cached)
    assert kept.about["device"] in cached.stem or kept.about["device"] == "cpu"
    with monkeypatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: False)
        with pytest.raises(ConfigError, match=r"answers of tiny on cuda, where the run began\. Copy it here"):
            teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path, device="cuda")
        other = KeptAnswers(kept.logits[:, ::-1], kept.perceived, kept.about | {"device": "cuda"})
        other.write(cached.with_stem(cached.stem.removesuffix("-cuda") + "-cuda"))
        of_gpu = teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path, device="cuda")
    assert not np.allclose(own, of_gpu)
