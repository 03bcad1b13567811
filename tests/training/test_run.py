from __future__ import annotations

import csv
import itertools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from cmaen.checkpoints import CARD, Card, Checkpoint  # noqa: E402
from cmaen.data.augmentation import AugmentSpec  # noqa: E402
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.ferplus import CATEGORIES  # noqa: E402
from cmaen.data.splits import Split  # noqa: E402
from cmaen.errors import CheckpointError, ConfigError, DataError, SplitError  # noqa: E402
from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.training import beginning, run  # noqa: E402
from cmaen.training.batches import FaceBatches, Picks, ShuffledPicks, train_loader, validation_loader  # noqa: E402
from cmaen.training.callbacks import EpochLog  # noqa: E402
from cmaen.training.config import Config, change, load_config  # noqa: E402
from cmaen.training.data import DataSpec, read_data  # noqa: E402
from cmaen.training.loop import LoopSpec  # noqa: E402
from cmaen.training.optimisation import OptimiserSpec  # noqa: E402
from cmaen.training.run import train  # noqa: E402
from cmaen.training.schedule import Schedule  # noqa: E402
from cmaen.types import FER2013  # noqa: E402
from tests.conftest import PLAIN, TINY, change_card  # noqa: E402


def config(data: Path, output: Path, **training: object) -> Config:
    """Configure a short run of a network with few parts; see :func:`whole` for one that has them all."""
    settings = {
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "ema_decay": 0.9,
        "warmup_epochs": 0.5,
        **training,
    }
    sections = {"optimiser": OptimiserSpec, "augment": AugmentSpec, "training": LoopSpec}
    return load_config(
        None,
        {
            "data.path": str(data),
            "output": str(output),
            "preprocess.image_size": 32,
            "model": PLAIN | {"dropout": 0.3},
            **{
                f"{section}.{key}": value
                for section, spec in sections.items()
                for key, value in settings.items()
                if key in spec.model_fields
            },
        },
    )


def whole(plan: Config) -> Config:
    """Let a run train a network with both pathways and every part."""
    return change(plan, {"model": TINY | {"wiring": "residual", "dropout": 0.3}, "preprocess.image_size": 64})


def untrained(plan: Config, folder: Path, **card: str) -> Path:
    """Write a checkpoint of the network of a run as it is before any training."""
    torch.manual_seed(0)
    network = build_network(plan.model)
    save_checkpoint(network, Card("untrained", plan.model.describe(), plan.preprocess, **card), folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder)[0].state_dict()


def with_a_power_cut(plan: Config) -> None:
    """Train until the second epoch begins."""

    def power_cut(self: EpochLog, trainer: object, module: object) -> None:
        if trainer.current_epoch == 1:  # type: ignore[attr-defined]
            raise RuntimeError("power cut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochLog, "on_train_epoch_start", power_cut)
        with pytest.raises(RuntimeError, match="power cut"):
            train(plan)


@pytest.fixture(scope="module")
def unbroken(fer_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config(fer_tree, tmp_path_factory.mktemp("runs") / "unbroken"))


def test_a_run_leaves_a_network_a_card_and_a_log(unbroken: Path) -> None:
    _, card = load_checkpoint(unbroken)
    made = Checkpoint.open(unbroken).provenance
    assert (made.seed, made.recorded["images"]) == (42, 56)
    assert (made.recorded["split"], made.recorded["chosen_on"]) == ("Training", "PublicTest")
    assert card.preprocess.image_size == 32
    assert 0 <= Checkpoint.open(unbroken).metrics.splits["PublicTest"]["torch"].schemes[FER2013].accuracy <= 1
    rows = list(csv.DictReader((unbroken.parent / "logs" / "version_0" / "metrics.csv").open()))
    assert {"train_loss", "val_accuracy", "val_macro_f1"} <= set(rows[0])
    validated = [row for row in rows if row["val_accuracy"]]
    assert len(validated) == 2
    assert all(float(row["images_per_second"]) > 0 and 0 < float(row["loader_share"]) < 1 for row in validated)
    history = Checkpoint.open(unbroken).history
    assert [(epoch.run, epoch.epoch) for epoch in history] == [("cmaen, seed 42", 1), ("cmaen, seed 42", 2)]
    assert all(value is not None for epoch in history for value in epoch)
    assert history[1].val_accuracy == pytest.approx(float(validated[1]["val_accuracy"]), abs=1e-5)
    assert [epoch.learning_rate for epoch in history] == pytest.approx([1e-3, 9.97e-4], rel=1e-3)
    assert load_config(unbroken.parent / "config.json", {}).model.dropout == 0.3
    assert (unbroken.parent / "revision.txt").read_text().strip()
    assert list((unbroken.parent / "tensorboard").rglob("events.out.tfevents.*"))


def test_one_seed_gives_one_network_also_seed_zero(fer_tree: Path, tmp_path: Path) -> None:
    runs = [
        weights(train(config(fer_tree, tmp_path / name, epochs=1).model_copy(update={"seed": seed})))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])
    assert not all(torch.equal(runs[0][key], runs[2][key]) for key in runs[0])


def test_a_resumed_run_ends_where_an_unbroken_one_does(fer_tree: Path, tmp_path: Path, unbroken: Path) -> None:
    broken = config(fer_tree, tmp_path / "broken")
    with_a_power_cut(broken)
    resumed = train(broken, resume=True)
    expected = torch.load(unbroken.parent / "last.ckpt", weights_only=True)["state_dict"]
    result = torch.load(resumed.parent / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(expected[key], result[key]) for key in expected)


def test_votes_and_teachers_are_learnt_from_and_named_in_the_card(
    fer_tree: Path, checkpoint: Path, tmp_path: Path
) -> None:
    votes = tmp_path / "votes.csv"
    names = load_faces(fer_tree, Split.TRAIN).names
    votes.write_text("\n".join([",".join(("file", *CATEGORIES)), *(f"{name},5,5,0,0,0,0,0,0,0,0" for name in names)]))
    plain = config(fer_tree, tmp_path / "run", epochs=1, operations=2)
    settings = plain.model_dump()
    settings["data"]["votes"] = votes
    settings["loss"]["vote_weight"] = 0.2
    settings["distillation"] |= {"teachers": [checkpoint], "weight": 0.5, "cache": tmp_path / "teachers"}
    history = Checkpoint.open(train(Config(**settings))).provenance.recorded
    assert (history["extra_labels"], history["teachers"]) == ("votes.csv", ["tiny"])
    assert list((tmp_path / "teachers").glob("tiny-*.npz"))
    settings["distillation"]["weight"] = 0.9
    with pytest.raises(ValueError, match="together are above 1"):
        Config(**settings)


def test_a_run_starts_from_a_trained_network(fer_tree: Path, tmp_path: Path, unbroken: Path) -> None:
    plan = config(fer_tree, tmp_path / "tuned", epochs=1, learning_rate=1e-9, ema_decay=None)
    tuned = plan.model_copy(update={"initial_weights": unbroken, "name": "tuned"})
    before, after = weights(unbroken), weights(train(tuned))
    learnt = [name for name in before if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert all(torch.allclose(before[name], after[name], atol=1e-3) for name in learnt)
    made = Checkpoint.open(tmp_path / "tuned" / "best").provenance
    assert made.pretraining == f"{Checkpoint.open(unbroken).describe()}, from None"
    other = tuned.model_copy(
        update={"output": tmp_path / "other", "model": tuned.model.model_copy(update={"hidden": 8})}
    )
    with pytest.raises(ConfigError, match=r"these keys differ: \['hidden'\]"):
        train(other)
    with pytest.raises(ValueError, match="leave out trunk_weights"):
        Config(initial_weights=unbroken, trunk_weights="weights.pt")


def test_frozen_stages_stay_as_they_are(fer_tree: Path, tmp_path: Path) -> None:
    plan = change(config(fer_tree, tmp_path / "frozen", epochs=1), {"model.trunk": "mobilenet_v1"})
    given = untrained(plan, tmp_path / "given")
    frozen = change(plan, {"training.frozen_stages": 3})
    before, after = weights(given), weights(train(change(frozen, {"initial_weights": str(given)})))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [name for name in moved if name.startswith(tuple(f"trunk.stages.{stage}." for stage in range(3)))]
    assert {name for name in before if name.startswith("trunk.stages.3.")} <= moved
    with pytest.raises(ConfigError, match="frozen_stages is 99; the trunk mobilenet_v1 has 14 stages"):
        change(frozen, {"training.frozen_stages": 99})
    with pytest.raises(ConfigError, match="the trunk ecnn has no stages"):
        change(frozen, {"model.trunk": "ecnn", "model.side": None})


def test_pretrained_pathways_stay_as_they_are_at_a_rate_of_0(fer_tree: Path, tmp_path: Path) -> None:
    plan = whole(config(fer_tree, tmp_path / "frozen", epochs=1))
    given = untrained(plan, tmp_path / "given")
    still = change(plan, {"optimiser.backbone_rate": 0, "initial_weights": str(given)})
    before, after = weights(given), weights(train(still))
    moved = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert not moved & {"trunk", "side"}
    assert {"exchange", "pyramid", "trunk_classifier", "side_attention"} <= moved


def test_a_licence_goes_on_to_what_is_trained_from_it(fer_tree: Path, tmp_path: Path, unbroken: Path) -> None:
    given = Path(shutil.copytree(unbroken, tmp_path / "given"))
    change_card(given, licence="for research")
    plan = config(fer_tree, tmp_path / "tuned", epochs=1).model_copy(update={"initial_weights": given})
    with_a_power_cut(plan.model_copy(update={"training": plan.training.model_copy(update={"epochs": 2})}))
    assert beginning.find_licence(plan.model_copy(update={"licence": "for all"})) == "for all"
    (given / CARD).unlink()  # the run no longer needs its initial weights
    resumed = train(plan.model_copy(update={"training": plan.training.model_copy(update={"epochs": 2})}), resume=True)
    assert Checkpoint.open(resumed).card.licence == "for research"


def test_pathways_may_be_joined_in_another_way(fer_tree: Path, tmp_path: Path) -> None:
    plan = whole(config(fer_tree, tmp_path / "rewired", epochs=1, learning_rate=1e-9, ema_decay=None))
    unbroken = untrained(plan, tmp_path / "unbroken")
    with pytest.raises(ConfigError, match=r"these keys differ: \['wiring'\]"):
        train(change(plan, {"initial_weights": unbroken, "model.wiring": "paper"}))
    both = {"trunk_weights": str(unbroken), "side_weights": str(unbroken)}
    before, best = weights(unbroken), train(change(plan, both | {"model.wiring": "paper"}))
    after = weights(best)
    taken = [name for name in before if re.match(r"(trunk|side|side_attention)\..*weight$", name)]
    assert len({name.split(".")[0] for name in taken}) == 3
    assert all(torch.allclose(before[name], after[name], atol=1e-3) for name in taken)
    begun = Checkpoint.open(unbroken).describe()
    assert Checkpoint.open(best).provenance.pretraining == "; ".join(
        f"the {role} of {begun}, from None" for role in ("trunk", "side")
    )
    wider = change(plan, both | {"model.ecnn_widths": (8, 8, 8, 16), "output": tmp_path / "wider"})
    with pytest.raises(ConfigError, match="compare ecnn_widths"):
        train(wider)
    other = change(plan, {"model.trunk": "sface", "trunk_weights": str(unbroken), "output": tmp_path / "other"})
    with pytest.raises(ConfigError, match=f"has the pathways {TINY['trunk']} and ecnn, but no sface for the trunk"):
        train(other)


def test_an_ecnn_that_was_trained_alone_becomes_the_side_of_another_network(fer_tree: Path, tmp_path: Path) -> None:
    plan = whole(config(fer_tree, tmp_path / "alone", epochs=1, learning_rate=1e-9, ema_decay=None))
    first = change(plan, {"model.trunk": "ecnn", "model.side": None})
    alone = untrained(first, tmp_path / "alone", licence="for research")
    before = weights(alone)
    joined = train(change(plan, {"side_weights": str(alone), "output": tmp_path / "joined"}))
    after = weights(joined)
    pairs = [(name, name.replace("trunk", "side", 1)) for name in before if re.match(r"trunk(_attention)?\.", name)]
    assert {name.split(".")[0] for name, _ in pairs} == {"trunk", "trunk_attention"}
    learnt = [pair for pair in pairs if pair[0].endswith(("weight", "bias"))]
    assert all(torch.allclose(before[one], after[other], atol=1e-3) for one, other in learnt)
    assert Checkpoint.open(joined).card.licence == "for research"


def test_a_run_is_not_written_over(fer_tree: Path, tmp_path: Path, unbroken: Path) -> None:
    with pytest.raises(ConfigError, match="--resume"):
        train(config(fer_tree, unbroken.parent))
    with pytest.raises(CheckpointError, match="nothing to resume"):
        train(config(fer_tree, tmp_path), resume=True)
    with pytest.raises(ConfigError, match=r"data\.path"):
        train(Config())


def test_a_run_goes_on_with_its_own_configuration_alone(fer_tree: Path, tmp_path: Path) -> None:
    plan = config(fer_tree, tmp_path / "run")
    with_a_power_cut(plan)
    with pytest.raises(ConfigError, match="another configuration") as caught:
        train(config(fer_tree, plan.output, epochs=3, ema_decay=None).model_copy(update={"seed": 1}), resume=True)
    said = str(caught.value)
    for difference in ("seed: 42 there, 1 here", "epochs: 2 there, 3 here", "ema_decay: 0.9 there, None here"):
        assert difference in said
    assert "learning_rate" not in said
    smaller = tmp_path / "smaller"
    shutil.copytree(fer_tree, smaller)
    next((smaller / "train" / "sad").iterdir()).unlink()
    with pytest.raises(ConfigError, match=r"other data; these differ: training faces\."):
        train(config(smaller, plan.output), resume=True)
    moved, there = tmp_path / "moved", tmp_path / "there"
    shutil.copytree(fer_tree, moved)
    plan.output.rename(there)
    assert train(config(moved, there), resume=True) == there / "best"
    (there / "run.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"run\.json"):
        train(config(moved, there), resume=True)
    (there / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"config\.json"):
        train(config(moved, there), resume=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_revision_is_that_of_this_code_and_of_no_checkout_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "notes").touch()
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", tmp_path, "add", "notes"], check=True)
    subprocess.run(["git", "-C", tmp_path, *author, "commit", "--quiet", "-m", "Notes"], check=True)
    monkeypatch.setattr(run, "__file__", str(tmp_path / "run.py"))
    (tmp_path / "run.py").touch()
    assert run._revision() is None
    subprocess.run(["git", "-C", tmp_path, "add", "run.py"], check=True)
    assert re.fullmatch("[0-9a-f]{40}-dirty", run._revision() or "")


def test_validation_and_test_never_train(fer_tree: Path) -> None:
    spec = PreprocessSpec(image_size=64)
    for split in (Split.VALIDATION, Split.TEST):
        with pytest.raises(SplitError):
            train_loader(load_faces(fer_tree, split), spec, AugmentSpec(), batch_size=4, seed=0)
    for split in (Split.TRAIN, Split.TEST):
        with pytest.raises(SplitError):
            validation_loader(load_faces(fer_tree, split), spec)


def test_what_is_never_learnt_is_said_and_one_class_refused(
    fer_tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def read(*classes: str) -> None:
        root = tmp_path / "-".join(classes)
        for split, name in itertools.product(("train", "validation"), classes):
            shutil.copytree(fer_tree / split / name, root / split / name)
        read_data(DataSpec(path=root), colour=False, side=48)

    read("happy", "sad")
    assert "no training face is labelled angry or disgust or fear or neutral or surprise" in caplog.text
    with pytest.raises(DataError, match=r"only one class, happy \(8\)"):
        read("happy")


def test_validation_batches_are_the_predictors_input_in_order(fer_tree: Path) -> None:
    faces = load_faces(fer_tree, Split.VALIDATION)
    spec = PreprocessSpec(image_size=64)
    batches = list(validation_loader(faces, spec, batch_size=8))
    assert np.array_equal(torch.cat([batch.images for batch in batches]).numpy(), spec(list(faces.images)))
    assert torch.cat([batch.labels for batch in batches]).tolist() == faces.labels.tolist()


def test_mixing_shapes_the_targets_and_leaves_the_labels(fer_tree: Path) -> None:
    faces = load_faces(fer_tree, Split.TRAIN)
    picks = Picks(torch.arange(16), seed=1)
    plain, mixed = (
        FaceBatches(faces, PreprocessSpec(image_size=64), augmentation=AugmentSpec(mixup=alpha))[picks]
        for alpha in (0.0, 1.0)
    )
    assert torch.equal(plain.targets.argmax(dim=1), plain.labels)
    assert torch.equal(mixed.labels, plain.labels)
    assert not torch.equal(mixed.targets, plain.targets)
    assert not torch.equal(mixed.images, plain.images)


def test_the_faces_move_to_the_device_once_and_as_they_are(fer_tree: Path) -> None:
    faces, spec = load_faces(fer_tree, Split.TRAIN), PreprocessSpec(image_size=64)
    batches = FaceBatches(faces, spec, augmentation=AugmentSpec(operations=2, mixup=0.2), device=torch.device("meta"))
    batch = batches[Picks(torch.arange(8), seed=0)]  # tensors on the device meta refuse those of another device
    assert batches.faces.images.dtype == torch.uint8
    assert {part.device.type for part in (*batches.faces[:3], *batch[:3])} == {"meta"}
    assert batch.images.shape == (8, 3, 64, 64)


def test_weights_bring_every_emotion_as_often() -> None:
    labels = torch.tensor([0] * 900 + [1] * 100)
    picks = ShuffledPicks(1000, 10, seed=0, weights=torch.where(labels == 0, 1.0, 9.0))
    first, second = (torch.cat([part.indices for part in picks]) for _ in range(2))
    assert torch.equal(first, second)  # the same epoch
    assert 400 < labels[first].sum() < 600
    picks.set_epoch(1)
    assert not torch.equal(first, torch.cat([part.indices for part in picks]))


def test_every_epoch_has_its_own_order_and_every_face_once() -> None:
    picks = ShuffledPicks(20, 5, seed=0)

    def epoch(number: int) -> Iterator[int]:
        picks.set_epoch(number)
        return (index for pick in picks for index in pick.indices.tolist())

    first, second, again = list(epoch(0)), list(epoch(1)), list(epoch(0))
    assert sorted(first) == sorted(second) == list(range(20))
    assert first == again != second


def test_the_schedule_warms_up_anneals_and_restarts() -> None:
    schedule = Schedule(warmup_epochs=2, cycle_epochs=30, cycle_growth=2, floor=0.01)
    assert schedule.factor(1) == pytest.approx(0.5)
    assert schedule.factor(2) == pytest.approx(1)
    assert schedule.factor(17) == pytest.approx(0.505)
    assert schedule.factor(31.9999) == pytest.approx(0.01, abs=1e-4)
    assert schedule.factor(32) == pytest.approx(1)
    assert schedule.factor(62) == pytest.approx(0.505)
    assert schedule.factor(92) == pytest.approx(1)
