"""Training with two label schemes, and without using the validation split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from cmaen.checkpoints import Checkpoint  # noqa: E402
from cmaen.data.augmentation import AugmentSpec  # noqa: E402
from cmaen.data.drawing import inner_split  # noqa: E402
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.ferplus import CATEGORIES  # noqa: E402
from cmaen.data.splits import Split  # noqa: E402
from cmaen.errors import ConfigError, DataError, SplitError  # noqa: E402
from cmaen.losses import perceived_loss  # noqa: E402
from cmaen.models.checkpoint import load_checkpoint  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.training.answers import KeptAnswers  # noqa: E402
from cmaen.training.batches import FaceBatches, Picks, Unlabelled, WithUnlabelled  # noqa: E402
from cmaen.training.config import Config, configure_fine_tuning, load_config  # noqa: E402
from cmaen.training.distillation import perceived_answers  # noqa: E402
from cmaen.training.record import Record  # noqa: E402
from cmaen.training.run import train  # noqa: E402
from cmaen.types import FER2013, PERCEIVED, PERCEIVED_LABELS  # noqa: E402
from tests.training.test_run import config  # noqa: E402


@pytest.fixture
def votes(fer_tree: Path, tmp_path: Path) -> Path:
    path = tmp_path / "votes.csv"
    names = [name for split in (Split.TRAIN, Split.VALIDATION) for name in load_faces(fer_tree, split).names]
    rows = [f"{name},{'10,0' if number % 2 else '0,10'},0,0,0,0,0,0,0,0" for number, name in enumerate(names)]
    path.write_text("\n".join([",".join(("file", *CATEGORIES)), *rows]))
    return path


def with_schemes(fer_tree: Path, output: Path, votes: Path, **training: object):
    plan = config(fer_tree, output, epochs=1, **training)
    return load_config(
        None,
        {
            **{key: value for key, value in plan.model_dump().items() if key not in ("data", "loss")},
            "data": plan.data.model_dump() | {"votes": votes},
            "loss": {"perceived": 1.0},
        },
    )


def test_both_schemes_are_trained_and_kept(fer_tree: Path, tmp_path: Path, votes: Path) -> None:
    best = train(with_schemes(fer_tree, tmp_path / "run", votes))
    model, card = load_checkpoint(best)
    assert list(card.schemes) == [FER2013, PERCEIVED]
    assert card.schemes[PERCEIVED].labels == PERCEIVED_LABELS
    assert Checkpoint.open(best).provenance.recorded["extra_labels"] == "votes.csv"
    assert 0 <= Checkpoint.open(best).metrics.splits["PublicTest"]["torch"].schemes[PERCEIVED].accuracy <= 1
    assert model(torch.zeros(2, 3, 32, 32)).perceived_logits.shape == (2, 8)


def test_the_last_epoch_is_kept_where_nothing_may_choose(fer_tree: Path, tmp_path: Path, votes: Path) -> None:
    best = train(with_schemes(fer_tree, tmp_path / "run", votes, keep="last", ema_decay=0.5))
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]
    kept = load_checkpoint(best)[0].state_dict()
    assert Checkpoint.open(best).provenance.recorded["chosen_on"] is None
    assert all(torch.allclose(last[f"model.{name}"].float(), value.float(), atol=1e-2) for name, value in kept.items())


def test_the_inner_split_leaves_validation_unseen(
    fer_tree: Path, tmp_path: Path, votes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cmaen.training import data

    read = []

    def noted(path: Path, split: Split, **how: object):
        read.append(split)
        return load_faces(path, split, **how)

    monkeypatch.setattr(data, "load_faces", noted)
    plan = with_schemes(fer_tree, tmp_path / "run", votes)
    best = train(plan.model_copy(update={"data": plan.data.model_copy(update={"inner_validation": True})}))
    made = Checkpoint.open(best).provenance.recorded
    assert read == [Split.TRAIN]
    assert made["chosen_on"] == "a tenth of Training"
    assert made["images"] < 56


def test_the_inner_split_is_always_the_same_and_apart(fer_tree: Path) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    (training, validation), (again, _) = inner_split(faces), inner_split(faces)
    assert training.names == again.names
    assert set(training.names) | set(validation.names) == set(faces.names)
    assert not set(training.names) & set(validation.names)
    assert (training.split, validation.split) == (Split.TRAIN, Split.VALIDATION)
    with pytest.raises(SplitError, match="only train"):
        inner_split(validation)


def test_faces_without_a_target_weigh_nothing() -> None:
    logits = torch.randn(3, 8, requires_grad=True)
    targets = torch.zeros(3, 8)
    targets[0, 2], targets[1, 3] = 1, 1
    expected = torch.nn.functional.cross_entropy(logits[:2], torch.tensor([2, 3]))
    loss = perceived_loss(logits, targets)
    assert torch.allclose(loss, expected)
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[2].any()
    assert not perceived_loss(logits.detach(), torch.zeros(3, 8))


def test_own_labels_begin_from_two_schemes(checkpoint: Path, fer_tree: Path, tmp_path: Path) -> None:
    plan = configure_fine_tuning(checkpoint)
    changes = {
        "data": plan.data.model_copy(update={"path": fer_tree}),
        "training": plan.training.model_copy(update={"epochs": 1}),
        "optimiser": plan.optimiser.model_copy(update={"head_first_epochs": 0.0}),
        "output": tmp_path / "run",
    }
    card = Checkpoint.open(train(plan.model_copy(update=changes))).card
    assert list(card.schemes) == [FER2013]
    assert np.isclose(card.schemes[FER2013].temperature, 1)


def test_sharp_faces_without_labels_are_answered_by_a_teacher(
    checkpoint: Path, fer_tree: Path, tmp_path: Path, votes: Path
) -> None:
    rng = np.random.default_rng(0)
    for number, side in enumerate((130, 90, 200)):
        path = tmp_path / "sharp" / "below" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    (tmp_path / "sharp" / "broken.jpg").write_bytes(b"")
    plan = with_schemes(fer_tree, tmp_path / "run", votes, operations=1)
    settings = plan.model_dump()
    settings["data"]["unlabelled"] = tmp_path / "sharp"
    with pytest.raises(ValueError, match=r"data\.unlabelled needs distillation\.unlabelled"):
        Config(**settings)
    taught = {"unlabelled": checkpoint, "teachers": [checkpoint], "perceived": 0.5, "cache": tmp_path / "cache"}
    settings["distillation"] |= taught
    best = train(Config(**settings))
    assert Checkpoint.open(best).provenance.recorded["unlabelled"] == "sharp"
    first, last = Record.read(best.parent).sources.teachers
    assert first == last  # the same checkpoint answers both kinds of faces
    settings["data"]["unlabelled"] = tmp_path / "cache"
    with pytest.raises(DataError, match="no readable image of a face"):
        train(Config(**settings | {"output": tmp_path / "other"}))


def test_a_batch_gets_its_share_of_unlabelled_faces(fer_tree: Path) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    seen = torch.full((56, 8), 1 / 8)
    labelled = FaceBatches(faces, PreprocessSpec(image_size=64), perceived=seen, augmentation=AugmentSpec())
    images = torch.zeros((28, 112, 112), dtype=torch.uint8)
    answers, perceived = torch.eye(7)[torch.zeros(28, dtype=torch.int64)], torch.eye(8)[torch.full((28,), 7)]
    batches = WithUnlabelled(labelled, Unlabelled(images, answers, perceived, (32, 112)))
    picks = Picks(torch.arange(8), 1)
    batch, again = batches[picks], batches[picks]
    assert batch.images.shape == (12, 3, 64, 64)
    assert torch.equal(batch.images, again.images)
    assert batch.answers is None
    assert (batch.targets[8:].argmax(dim=1) == 0).all()
    assert batch.perceived is not None
    assert (batch.perceived[8:].argmax(dim=1) == 7).all()
    assert (batch.labels[:8] == torch.from_numpy(faces.labels[:8])).all()
    with pytest.raises(SplitError):
        FaceBatches(load_faces(fer_tree, Split.VALIDATION), PreprocessSpec(image_size=64), augmentation=AugmentSpec())


def test_teachers_without_the_scheme_are_named(fer_tree: Path, checkpoint: Path, tmp_path: Path) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    kept = KeptAnswers.ask(faces, checkpoint)
    kept.write(tmp_path / "both.npz")
    kept._replace(perceived=None).write(tmp_path / "one.npz")
    both = perceived_answers(faces, [tmp_path / "both.npz", tmp_path / "one.npz"], cache=tmp_path)
    assert both.shape == (56, 8)
    assert np.allclose(both.sum(axis=1), 1, atol=1e-5)
    with pytest.raises(ConfigError, match="none of the teachers has the label scheme perceived"):
        perceived_answers(faces, [tmp_path / "one.npz"], cache=tmp_path)
