"""Votes and answers belong to a face by its pixels: the same run begins from a CSV, a tree and the original."""

from __future__ import annotations

import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from torch import Tensor  # noqa: E402

from cmaen.checkpoints import Checkpoint, SeenFaces  # noqa: E402
from cmaen.data.drawing import inner_split  # noqa: E402
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.ferplus import CATEGORIES, label_distribution, with_votes  # noqa: E402
from cmaen.data.keys import face_keys  # noqa: E402
from cmaen.data.splits import FaceSet, Split  # noqa: E402
from cmaen.errors import DataError  # noqa: E402
from cmaen.models.checkpoint import average_checkpoints, load_checkpoint  # noqa: E402
from cmaen.training import run, seen  # noqa: E402
from cmaen.training.answers import KeptAnswers  # noqa: E402
from cmaen.training.batches import train_loader  # noqa: E402
from cmaen.training.config import Config, change, load_config  # noqa: E402
from cmaen.training.data import DataSpec, read_data  # noqa: E402
from tests.data.test_keys import know, regroup, write_kaggle  # noqa: E402
from tests.training.test_run import config  # noqa: E402


@pytest.fixture(scope="module")
def drawn(fer_tree: Path) -> list[FaceSet]:
    """The drawn faces of training and validation."""
    return [load_faces(fer_tree, split) for split in (Split.TRAIN, Split.VALIDATION)]


@pytest.fixture
def sets(drawn: list[FaceSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[FaceSet]:
    """Let the package know the drawn faces, with votes in which every second face is happy and none is neutral."""
    sets = list(drawn)
    votes = np.zeros((sum(map(len, sets)), len(CATEGORIES)), np.uint8)
    votes[::2, 1], votes[1::2, 2], votes[:, 3] = 9, 9, 1
    know(sets, votes, tmp_path / "package", monkeypatch)
    return sets


def taught(data: Path, output: Path, teacher: Path, **loss: float) -> Config:
    plan = config(data, output, epochs=1)
    learning = {"loss": {"vote_weight": 0.2, "perceived": 1.0} | loss}
    teaching = {"distillation": {"teachers": [teacher], "weight": 0.5, "perceived": 0.3, "cache": output / "cache"}}
    return load_config(None, {**plan.model_dump(), **learning, **teaching})


@pytest.fixture(scope="module")
def forms(drawn: list[FaceSet], fer_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same faces as they are known, as Kaggle's CSV, as another tree, and as a zip of that."""
    folder, rng = tmp_path_factory.mktemp("forms"), np.random.default_rng(0)
    tree = regroup(drawn, folder / "tree", rng)
    with zipfile.ZipFile(folder / "fer2013.zip", "w") as archive:
        for file in tree.rglob("*.png"):
            archive.write(file, Path("fer2013") / file.relative_to(tree))
    csv = write_kaggle(drawn, folder / "fer2013.csv", rng)
    return {"known": fer_tree, "csv": csv, "tree": tree, "zip": folder / "fer2013.zip"}


@pytest.fixture(scope="module")
def kept(drawn: list[FaceSet], checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The answers of a teacher for the faces of training."""
    path = tmp_path_factory.mktemp("answers") / "kept.npz"
    KeptAnswers.ask(drawn[0], checkpoint).write(path)
    return path


@pytest.mark.parametrize("data", [{}, {"limit": 20}, {"inner_validation": True}], ids=str)
def test_the_same_run_begins_from_every_form(
    data: dict[str, object], sets: list[FaceSet], forms: dict[str, Path], kept: Path, tmp_path: Path
) -> None:
    def begin(path: Path) -> list[Tensor | np.ndarray]:
        """What the run begins with: its faces, its targets, and its first batches."""
        plan = change(taught(path, tmp_path / "run", kept), {f"data.{key}": data[key] for key in data})
        training, validation = read_data(plan.data, colour=False, side=48, needs_votes=True)
        assert training.votes is not None
        assert validation.votes is not None
        answers = run._answers(training, plan, "cpu")
        learnt = {
            "targets": run._targets(training, plan, answers),
            "answers": answers,
            "perceived": run._mix_perceived(training, plan, "cpu"),
        }
        loader = train_loader(training, plan.preprocess, plan.augment, batch_size=8, seed=plan.seed, **learnt)
        batches = [part for batch in islice(loader, 2) for part in batch]
        return [training.images, training.labels, training.votes, *learnt.values(), *batches]

    expected = begin(forms["known"])
    assert len(expected) == 6 + 2 * 5
    for form in ("csv", "tree", "zip"):
        for part, (one, other) in enumerate(zip(expected, begin(forms[form]), strict=True)):
            assert np.array_equal(one, other), (form, part)


def test_a_run_goes_the_same_way_from_every_form(sets: list[FaceSet], forms: dict[str, Path], tmp_path: Path) -> None:
    ends = []
    for form in ("known", "csv"):
        plan = change(config(forms[form], tmp_path / form, epochs=1), {"training.precision": "32-true"})
        ends.append(load_checkpoint(run.train(plan))[0].state_dict())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_faces_that_are_not_fer2013_keep_their_order(
    sets: list[FaceSet], forms: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = DataSpec(path=forms["tree"])
    ordered, _ = read_data(plan, colour=False, side=48)
    assert np.array_equal(ordered.images, sets[0].images)
    some = np.arange(20)  # of 56
    know([sets[0].select(some), sets[1]], np.zeros((41, len(CATEGORIES)), np.uint8), tmp_path / "other", monkeypatch)
    named, _ = read_data(plan, colour=False, side=48)
    assert list(named.names) == sorted(named.names)
    assert set(named.names) == set(ordered.names)
    assert list(ordered.names) != sorted(ordered.names)


def test_what_was_joined_is_in_the_provenance(sets: list[FaceSet], kept: Path, tmp_path: Path) -> None:
    images = sets[0].images.copy()
    images[3, 0, 0] ^= 1  # one of 56 faces: it has neither votes nor an answer
    data = regroup([sets[0].with_images(images), sets[1]], tmp_path / "tree", np.random.default_rng(0))
    best = Checkpoint.open(run.train(taught(data, tmp_path / "run", kept)))
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
    sets: list[FaceSet], fer_tree: Path, kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = taught(fer_tree, tmp_path / "run", kept)
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
