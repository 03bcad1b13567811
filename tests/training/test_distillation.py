from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from cmaen.checkpoints import Checkpoint, Provenance
from cmaen.data.faces import load_faces
from cmaen.data.keys import Fer2013Keys, face_keys, find_rows
from cmaen.data.splits import FaceSet, Split
from cmaen.engines import build_engine
from cmaen.errors import CheckpointError, ConfigError, DataError, SplitError
from cmaen.training.answers import KeptAnswers
from cmaen.training.distillation import (
    describe_teacher,
    identify_teacher,
    match_prior,
    perceived_answers,
    teacher_answers,
)
from tests.conftest import change_card
from tests.data.test_keys import regroup, write_kaggle


@pytest.fixture(scope="module")
def faces(fer_tree: Path) -> FaceSet:
    """The faces of training."""
    return load_faces(fer_tree, Split.TRAIN)


@pytest.fixture(scope="module")
def asked(faces: FaceSet, checkpoint: Path) -> KeptAnswers:
    """What a teacher answers them."""
    return KeptAnswers.ask(faces, checkpoint)


def test_the_answers_are_distributions_with_the_shares_of_the_labels(
    faces: FaceSet, asked: KeptAnswers, checkpoint: Path, tmp_path: Path
) -> None:
    other = asked
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
    faces: FaceSet, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path)
    monkeypatch.setattr("cmaen.training.answers.build_engine", None)
    assert np.array_equal(first, teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path))
    (cached,) = tmp_path.glob("*.npz")
    cached.write_bytes(cached.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read as a teacher's answers"):
        teacher_answers(faces, [checkpoint], temperature=1.0, cache=tmp_path)


def test_a_teacher_of_any_name_has_a_file_of_answers(faces: FaceSet, checkpoint: Path, tmp_path: Path) -> None:
    teacher, cache = tmp_path / "teacher", tmp_path / "cache"
    shutil.copytree(checkpoint, teacher)
    change_card(teacher, name='../a:b? "c"')
    teacher_answers(faces, [teacher], temperature=1.0, cache=cache)
    (cached,) = cache.iterdir()
    assert cached.name.startswith("..-a-b-c--")


def test_answers_are_kept_without_the_teacher(
    faces: FaceSet, asked: KeptAnswers, fer_tree: Path, checkpoint: Path, tmp_path: Path
) -> None:
    asked.write(tmp_path / "kept.npz")
    asked = teacher_answers(faces, [checkpoint], temperature=2.0, cache=tmp_path)
    kept = teacher_answers(faces, [tmp_path / "kept.npz"], temperature=2.0, cache=tmp_path)
    assert np.allclose(asked, kept, atol=1e-3)
    assert identify_teacher(tmp_path / "kept.npz")[0] == identify_teacher(checkpoint)[0] == "tiny"
    blank = faces.with_images(np.zeros_like(faces.images))
    with pytest.raises(DataError, match="other than these 56"):
        teacher_answers(blank, [tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path)
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

    monkeypatch.setattr("cmaen.training.answers.build_engine", noted)
    monkeypatch.setattr("cmaen.training.answers.torch_device", torch.device)
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
    faces: FaceSet, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_answers_fit_the_same_faces_in_any_form(
    faces: FaceSet, asked: KeptAnswers, fer_tree: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    asked.write(tmp_path / "kept.npz")
    sets = [faces, load_faces(fer_tree, Split.VALIDATION)]
    own = teacher_answers(faces, [tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path)
    for path in (write_kaggle(sets, tmp_path / "fer2013.csv", rng), regroup(sets, tmp_path / "tree", rng)):
        others = load_faces(path, Split.TRAIN)
        answers = teacher_answers(others, [tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path)
        rows = find_rows(face_keys(faces.images), face_keys(others.images))
        assert np.array_equal(answers, own[rows])
        seen = perceived_answers(others, [tmp_path / "kept.npz"], cache=tmp_path)
        assert np.allclose(seen.sum(axis=1), 1)
    part = teacher_answers(faces.select(np.arange(0, 56, 3)), [tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path)
    assert np.allclose(part.sum(axis=1), 1)


def test_an_older_file_answers_fer2013_alone(
    faces: FaceSet, asked: KeptAnswers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, perceived, about, keys = asked
    about = {key: value for key, value in about.items() if key != "labels"}
    KeptAnswers(logits, perceived, about).write(tmp_path / "older.npz")
    turned = replace(faces.select(np.arange(len(faces))[::-1]), names=faces.names)
    with pytest.raises(DataError, match="other than these 56"):
        teacher_answers(turned, [tmp_path / "older.npz"], temperature=1.0, cache=tmp_path)
    assert keys is not None
    known = Fer2013Keys(keys, keys[:0], faces.fingerprint())
    monkeypatch.setattr("cmaen.training.answers.Fer2013Keys.read", lambda: known)
    own, other = (
        teacher_answers(each, [tmp_path / "older.npz"], temperature=1.0, cache=tmp_path) for each in (faces, turned)
    )
    assert np.allclose(own, other[::-1], atol=1e-6)
    strangers = replace(turned, classes=("a", "b", "c", "d", "e", "f", "g"))
    with pytest.raises(DataError, match="under angry"):
        teacher_answers(strangers, [tmp_path / "older.npz"], temperature=1.0, cache=tmp_path)


def test_few_faces_may_lack_an_answer(faces: FaceSet, asked: KeptAnswers, checkpoint: Path, tmp_path: Path) -> None:
    asked.write(tmp_path / "kept.npz")
    images = faces.images.copy()
    images[5, 0, 0] ^= 1
    answers = teacher_answers(faces.with_images(images), [tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path)
    assert np.flatnonzero(answers.sum(axis=1) == 0).tolist() == [5]
    assert np.allclose(np.delete(answers, 5, axis=0).sum(axis=1), 1)
    others = KeptAnswers.ask(faces.with_images(images), checkpoint)
    others.write(tmp_path / "others.npz")
    both = [tmp_path / "kept.npz", tmp_path / "others.npz"]
    together = teacher_answers(faces.with_images(images), both, temperature=1.0, cache=tmp_path, shares=(3, 1))
    assert np.allclose(together.sum(axis=1), 1)  # the one that has answered it teaches it
    images[6, 0, 0] ^= 1
    with pytest.raises(DataError, match=r"2 of these 56 faces.*Training_5\.png, train/angry/Training_6\.png"):
        teacher_answers(faces.with_images(images), [tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path)


def test_copies_share_an_answer(faces: FaceSet, checkpoint: Path, tmp_path: Path) -> None:
    images = faces.images.copy()
    images[1] = images[0]
    faces = faces.with_images(images)
    kept = KeptAnswers.ask(faces, checkpoint)
    logits = kept.logits.copy()
    logits[:, 1] = logits[:, 0] + np.float16(2)
    turned = replace(faces.select(np.arange(len(faces))[::-1]), names=faces.names)
    found = kept._replace(logits=logits).match(turned, tmp_path)
    mean = (logits[:, 0].astype(np.float32) + logits[:, 1]) / 2
    assert np.allclose(found.logits[:, -1], mean, atol=0.01)
    assert np.array_equal(found.logits[:, -1], found.logits[:, -2])
    assert np.array_equal(found.logits[:, :-2], logits[:, :1:-1])
    assert np.array_equal(kept.match(turned, tmp_path).logits, kept.logits[:, ::-1])


@pytest.mark.parametrize(
    "damage",
    [{"keys": np.zeros(56, np.float64)}, {"keys": np.zeros((7, 8), np.uint64)}, {"keys": np.zeros(55, np.uint64)}],
)
def test_keys_that_do_not_fit_are_named(
    faces: FaceSet, asked: KeptAnswers, damage: dict[str, np.ndarray], tmp_path: Path
) -> None:
    asked._replace(**damage).write(tmp_path / "kept.npz")
    turned = replace(faces.select(np.arange(len(faces))[::-1]), names=faces.names)
    with pytest.raises(DataError, match=r"no hashes|does not hold answers"):
        teacher_answers(turned, [tmp_path / "kept.npz"], temperature=1.0, cache=tmp_path)
