"""Votes and answers belong to a face by its pixels: the same run begins from a CSV, a tree and the original."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from cmaen.checkpoints import Checkpoint, SeenFaces  # noqa: E402
from cmaen.data.drawing import inner_split  # noqa: E402
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.ferplus import CATEGORIES, label_distribution, with_votes  # noqa: E402
from cmaen.data.keys import face_keys, find_rows  # noqa: E402
from cmaen.data.splits import FaceSet, Split  # noqa: E402
from cmaen.errors import DataError  # noqa: E402
from cmaen.models.checkpoint import average_checkpoints  # noqa: E402
from cmaen.training import run, seen  # noqa: E402
from cmaen.training.answers import KeptAnswers  # noqa: E402
from cmaen.training.config import Config, change, load_config  # noqa: E402
from cmaen.training.data import DataSpec, read_data  # noqa: E402
from tests.data.test_keys import know, regroup, write_kaggle  # noqa: E402
from tests.training.test_run import config  # noqa: E402


@pytest.fixture
def sets(fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[FaceSet]:
    """Let the package know the drawn faces, with votes in which every second face is happy and none is neutral."""
    sets = [load_faces(fer_tree, split) for split in (Split.TRAIN, Split.VALIDATION)]
    votes = np.zeros((sum(map(len, sets)), len(CATEGORIES)), np.uint8)
    votes[::2, 1], votes[1::2, 2], votes[:, 3] = 9, 9, 1
    know(sets, votes, tmp_path / "package", monkeypatch)
    return sets


def taught(data: Path, output: Path, teacher: Path, **loss: float) -> Config:
    plan = config(data, output, epochs=1)
    learning = {"loss": {"vote_weight": 0.2, "perceived": 1.0} | loss}
    teaching = {"distillation": {"teachers": [teacher], "weight": 0.5, "perceived": 0.3, "cache": output / "cache"}}
    return load_config(None, {**plan.model_dump(), **learning, **teaching})


def test_the_same_run_begins_from_every_form(
    sets: list[FaceSet], fer_tree: Path, checkpoint: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    KeptAnswers.ask(sets[0], checkpoint).write(tmp_path / "kept.npz")
    own = face_keys(sets[0].images)
    forms = [fer_tree, write_kaggle(sets, tmp_path / "fer2013.csv", rng), regroup(sets, tmp_path / "tree", rng)]
    begun = []
    for path in forms:
        plan = taught(path, tmp_path / "run", tmp_path / "kept.npz")
        training, validation = read_data(plan.data, colour=False, side=48, needs_votes=True)
        assert validation.votes is not None
        answers = run._answers(training, plan, "cpu")
        parts = (run._targets(training, plan, answers), answers, run._mix_perceived(training, plan, "cpu"))
        rows = find_rows(own, face_keys(training.images))
        begun.append([part[np.argsort(rows)] for part in parts])
    for others in begun[1:]:
        assert all(torch.equal(one, other) for one, other in zip(begun[0], others, strict=True))


def test_what_was_joined_is_in_the_provenance(sets: list[FaceSet], checkpoint: Path, tmp_path: Path) -> None:
    images = sets[0].images.copy()
    KeptAnswers.ask(sets[0], checkpoint).write(tmp_path / "kept.npz")
    images[3, 0, 0] ^= 1  # one of 56 faces: it has neither votes nor an answer
    data = regroup([sets[0].with_images(images), sets[1]], tmp_path / "tree", np.random.default_rng(0))
    best = Checkpoint.open(run.train(taught(data, tmp_path / "run", tmp_path / "kept.npz")))
    recorded = best.provenance.recorded
    assert recorded["extra_labels"] == "the FER+ votes that come with cmaen"
    assert (recorded["images"], recorded["images_with_votes"]) == (56, 55)
    assert "perceived" in best.card.schemes


def test_votes_are_joined_where_the_loss_needs_them(sets: list[FaceSet], fer_tree: Path) -> None:
    def read(data: DataSpec, needs_votes: bool) -> FaceSet:
        return read_data(data, colour=False, side=48, needs_votes=needs_votes)[0]

    assert read(DataSpec(path=fer_tree), True).votes is not None
    assert read(DataSpec(path=fer_tree), False).votes is None  # as before votes came with the package
    assert DataSpec(votes="none").votes is None
    assert DataSpec(votes="auto") == DataSpec()
    assert DataSpec.model_validate_json(DataSpec().model_dump_json()) == DataSpec()
    assert isinstance(DataSpec(votes="votes.csv").votes, Path)
    with pytest.raises(DataError, match="there are none for the faces"):
        read(DataSpec(path=fer_tree, votes="none"), True)


def test_foreign_faces_cannot_teach_what_needs_votes(fer_tree: Path) -> None:
    with pytest.raises(DataError, match="name their CSV with --votes"):
        read_data(DataSpec(path=fer_tree), colour=False, side=48, needs_votes=True)


def test_an_unanswered_face_keeps_its_votes_share(sets: list[FaceSet], checkpoint: Path, tmp_path: Path) -> None:
    plan = taught(tmp_path, tmp_path / "run", checkpoint)
    training = with_votes(sets[0])
    answers = torch.full((56, 7), 1 / 7)
    answers[4] = 0
    targets = run._targets(training, plan, answers)
    votes = torch.from_numpy(label_distribution(training))
    plain = torch.nn.functional.one_hot(torch.from_numpy(training.labels), 7).float()
    assert torch.allclose(targets[4], torch.lerp(plain[4], votes[4], 0.2))
    assert torch.allclose(targets[5], torch.lerp(plain[5], votes[5], 0.4))  # half of it is left to the teachers


def test_a_checkpoint_knows_the_faces_of_its_line(sets: list[FaceSet], fer_tree: Path, tmp_path: Path) -> None:
    training = sets[0]
    plan = change(config(fer_tree, tmp_path / "first", epochs=1), {"data.limit": 40})
    first = run.train(plan)
    known = Checkpoint.open(first).seen
    assert known is not None
    assert known.find(face_keys(training.images)).sum() == len(known) == 40
    inner = {"data.limit": None, "data.inner_validation": True, "initial_weights": str(first)}
    second = run.train(change(plan, inner | {"output": tmp_path / "second"}))
    both, own = Checkpoint.open(second).seen, inner_split(training)
    assert both == SeenFaces.of(face_keys(own[0].images)).unite(known)
    average_checkpoints([first, second], [1, 1], tmp_path / "average")
    assert Checkpoint(tmp_path / "average").seen == both
    (first / "seen.keys").unlink()
    average_checkpoints([first, second], [1, 1], tmp_path / "average")
    assert Checkpoint(tmp_path / "average").seen == both


def test_a_run_judged_by_faces_it_knows_says_so(
    sets: list[FaceSet], fer_tree: Path, checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    KeptAnswers.ask(sets[0], checkpoint).write(tmp_path / "kept.npz")
    plan = taught(fer_tree, tmp_path / "run", tmp_path / "kept.npz")
    training, validation = sets
    caplog.clear()
    seen.note_seen(plan, training, None)
    seen.warn_of_seen(plan, training, validation, None)
    assert not caplog.records
    _, inner = inner_split(training)
    seen.warn_of_seen(plan, training, inner, None)
    assert "the network has been trained on 7 of the 7 validation faces" in caplog.text
    assert "kept.npz has answered, and so was probably trained on, 7 of the 7" in caplog.text
    damaged = tmp_path / "run" / "seen.keys"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert seen.read_seen(tmp_path / "run", training, None) == SeenFaces.of(face_keys(training.images))
    assert "cannot be read" in caplog.text
    damaged.unlink()
    assert seen.read_seen(tmp_path / "run", training, inner) == SeenFaces.of(face_keys(training.images))
