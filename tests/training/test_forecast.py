"""How long a run takes is said before it begins, and saying so changes nothing of the run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from cmaen.data.augmentation import AugmentSpec  # noqa: E402
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.splits import FaceSet, Split  # noqa: E402
from cmaen.losses import LossSpec  # noqa: E402
from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.training import ablation, forecast, loop  # noqa: E402
from cmaen.training.batches import FaceBatches, train_loader, validation_loader  # noqa: E402
from cmaen.training.config import change  # noqa: E402
from cmaen.training.forecast import Conditions, Forecast, foresee, write_duration  # noqa: E402
from cmaen.training.module import EmotionModule  # noqa: E402
from cmaen.training.optimisation import OptimiserSpec  # noqa: E402
from cmaen.training.run import train  # noqa: E402
from tests.conftest import PLAIN  # noqa: E402
from tests.training import test_ablation as of_ablation  # noqa: E402
from tests.training.test_run import config, weights, with_a_power_cut  # noqa: E402

CPU = Conditions(torch.device("cpu"), "32-true")
Parts = tuple[EmotionModule, Any, Any]


@pytest.fixture(scope="module")
def drawn(fer_tree: Path) -> list[FaceSet]:
    """The drawn faces of training and validation."""
    return [load_faces(fer_tree, split) for split in (Split.TRAIN, Split.VALIDATION)]


@pytest.fixture
def parts(drawn: list[FaceSet]) -> Parts:
    """A module, and loaders of 56 training faces in 7 batches and 21 validation faces."""
    spec = PreprocessSpec(image_size=32)
    model = build_network(ModelSpec(**PLAIN | {"dropout": 0.5}))
    faces, validation = drawn
    return (
        EmotionModule(model, loss=LossSpec(), optimiser=OptimiserSpec(), seed=0),
        train_loader(faces, spec, AugmentSpec(), batch_size=8, seed=0),
        validation_loader(validation, spec),
    )


class Clock:
    """A clock by which each step takes so many seconds a face, and the first one longer; it knows their faces."""

    def __init__(self, patch: pytest.MonkeyPatch, face: float, *, first: float = 0.0) -> None:
        self.seconds, self.faces = 0.0, list[int]()
        step = EmotionModule.training_step

        def take(module: EmotionModule, batch: Any, number: int) -> Any:
            self.seconds += face * len(batch.images) + (0 if self.faces else first)
            self.faces.append(len(batch.images))
            return step(module, batch, number)

        patch.setattr(EmotionModule, "training_step", take)
        patch.setattr(forecast, "_FEW", 2)

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "less than a second"),
        (1.2, "1 second"),
        (89.4, "89 seconds"),
        (90, "1.5 minutes"),
        (600, "10 minutes"),
        (89.9 * 60, "90 minutes"),
        (3 * 3600, "3 hours"),
        (35 * 3600, "35 hours"),
        (36 * 3600, "1.5 days"),
        (9.94 * 86400, "9.9 days"),
        (9.96 * 86400, "10 days"),
        (400 * 86400, "400 days"),
    ],
)
def test_a_duration_is_written_roughly(seconds: float, text: str) -> None:
    assert write_duration(seconds) == text


@pytest.mark.parametrize("first", [0.0, 100.0])
@pytest.mark.parametrize(
    ("face", "faces"),
    [
        (0.05, [2, 2, 8, 8, 8, 8, 8, 8]),  # an epoch has no more
        (0.26, [2, 2, 8, 8]),  # 5 seconds are over
        (100.0, [2, 2]),  # a batch would take too long
    ],
)
def test_an_epoch_is_its_steps_and_the_validation(
    face: float, faces: list[int], first: float, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, face, first=first)
    found = foresee(*parts, 60, CPU, now=clock)
    assert clock.faces == (faces[:2] if first else faces)
    assert found == Forecast(pytest.approx(8 * face * 7 * (1 + 21 / 56 / 3)), 60)
    assert found.total == pytest.approx(60 * found.epoch)
    assert str(found).startswith("60 epochs of ")


@pytest.mark.parametrize(("epochs", "expected"), [(1000, 8), (22, 4), (8, 2), (7, 0), (0, 0), (-1, 0)])
def test_few_batches_are_timed_and_of_a_short_run_none(
    epochs: int, expected: int, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, 0.001)
    found = foresee(*parts, epochs, CPU, now=clock)
    assert len(clock.faces) == expected
    assert (found is None) == (expected == 0)


def test_loading_takes_time_too(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.0)
    load = FaceBatches.__getitem__

    def wait(self: FaceBatches, picks: Any) -> Any:
        clock.seconds += 0.5
        return load(self, picks)

    monkeypatch.setattr(FaceBatches, "__getitem__", wait)
    assert foresee(*parts, 60, CPU, now=clock) == Forecast(pytest.approx(0.5 * 7 * (1 + 21 / 56 / 3)), 60)
    assert foresee(*parts, 8, CPU, now=clock) == Forecast(pytest.approx(0.5 * 7 * (1 + 21 / 56 / 3)), 8)


def test_a_process_steps_with_its_share(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(module: EmotionModule, batch: Any, number: int) -> Any:  # threads on busy cores wait for each other
        return next(module.parameters()).sum()

    monkeypatch.setattr(EmotionModule, "training_step", step)
    clock, threads = Clock(monkeypatch, 1.0), []
    monkeypatch.setattr(forecast, "usable_cores", lambda: 4)
    monkeypatch.setattr(forecast, "_wait_for", lambda _: threads.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = foresee(*parts, 60, Conditions(torch.device("cpu"), "32-true", 2, 2), now=clock)
    assert found is not None
    assert found.epoch == pytest.approx(4 * 1.0 * 7 * (1 + 21 / 56 / 3)), "half a batch"
    assert set(clock.faces) == {2, 4}
    assert set(threads) == {before}, "as many as the user has chosen"
    monkeypatch.delenv("OMP_NUM_THREADS")
    threads.clear()
    foresee(*parts, 60, Conditions(torch.device("cpu"), "32-true", 2, 2), now=clock)
    assert set(threads) == {2}, "half of the cores"
    assert torch.get_num_threads() == before


def test_the_module_and_the_random_numbers_stay_as_they_are(parts: Parts) -> None:
    module, *_ = parts
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    foresee(*parts, 100, Conditions(torch.device("cpu"), "bf16-mixed"))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(value.grad is None for value in module.parameters())
    assert "log" not in vars(module)


def test_a_run_ends_where_it_would_without_a_forecast(
    fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(forecast, "_PART", 5)  # else only a run of many batches has a forecast
    plan = config(fer_tree, tmp_path / "with", batch_size=8)
    with caplog.at_level(logging.INFO, "cmaen"):
        best = train(plan)
    (said,) = [text for text in caplog.messages if "to go on this machine: 2 epochs of" in text]
    assert caplog.messages.index(said) < next(i for i, text in enumerate(caplog.messages) if "epoch 1 of 2" in text)
    monkeypatch.setattr(loop, "foresee", lambda *_: None)
    expected = weights(train(change(plan, {"output": tmp_path / "without"})))
    assert all(torch.equal(value, expected[name]) for name, value in weights(best).items())


def test_a_run_of_days_is_warned_of_and_what_takes_less_is_named(
    fer_tree: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "foresee", lambda *_: Forecast(6400.0, 150))
    plan = change(
        config(fer_tree, tmp_path / "days", epochs=1), {"training.device": "cpu", "preprocess.image_size": 96}
    )
    train(plan)
    (warning,) = [record for record in caplog.records if "days to go" in record.message]
    assert warning.levelno == logging.WARNING
    for part in ("about 11 days", "150 epochs of 1.8 hours", "image_size is 96", "cmaen finetune", "or a GPU"):
        assert part in warning.message
    caplog.clear()
    train(
        change(
            plan,
            {"output": tmp_path / "tuned", "preprocess.image_size": 64, "initial_weights": str(plan.output / "best")},
        )
    )
    (warning,) = [record for record in caplog.records if "days to go" in record.message]
    assert "fewer epochs" in warning.message
    assert "cmaen finetune" not in warning.message
    assert "image_size" not in warning.message


def test_a_resumed_run_counts_what_is_left(
    fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = []
    monkeypatch.setattr(loop, "foresee", lambda *given: left.append(given[3]))
    plan = config(fer_tree, tmp_path / "run", epochs=3)
    with_a_power_cut(plan)
    train(plan, resume=True)
    assert left == [3, 2]


def test_an_ablation_adds_up_the_runs_that_are_left(
    fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plan = of_ablation.config(fer_tree, tmp_path)
    timed = []

    def expect(module: EmotionModule, *given: Any) -> Forecast:
        timed.append(sum(value.numel() for value in module.parameters()))
        return Forecast(4 * 3600.0, 3)

    monkeypatch.setattr(ablation, "foresee", expect)
    caplog.set_level(logging.INFO, "cmaen")
    (rows,) = ablation.ablate(plan, [0], variants=of_ablation.TWO).values()
    assert "about 24 hours to go on this machine: 2 runs" in caplog.text
    assert timed[0] > timed[1], "each variant's own network"
    assert [row.parameters for row in rows] == timed
    caplog.clear()
    ablation.ablate(plan, [0, 1], variants=of_ablation.TWO)
    assert "about 24 hours to go on this machine: 2 runs" in caplog.text
    assert len(timed) == 4
