"""Several processes, and a killed process: real ones, started as by a user."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from cmaen.cli import main  # noqa: E402
from cmaen.data.augmentation import AugmentSpec  # noqa: E402
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.splits import Split  # noqa: E402
from cmaen.engines import build_engine  # noqa: E402
from cmaen.errors import ConfigError  # noqa: E402
from cmaen.losses import LossSpec, cmaen_loss  # noqa: E402
from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.training import loop  # noqa: E402
from cmaen.training.batches import Batch, Place, train_loader  # noqa: E402
from cmaen.training.loop import LoopSpec  # noqa: E402
from cmaen.training.module import EmotionModule  # noqa: E402
from tests.conftest import PATIENCE, TINY  # noqa: E402
from tests.test_cli import cmaen  # noqa: E402

ROOT = Path(__file__).parents[2]


def training(data: Path, output: Path, epochs: int, *more: str) -> list[str]:
    model = [f"model.{key}={value}" for key, value in (TINY | {"wiring": "residual", "dropout": 0.3}).items()]
    settings = ["preprocess.image_size=64", "training.ema_decay=0.9", "training.device=cpu", *model, *more]
    options = ["--epochs", str(epochs), "--batch-size", "16", "--learning-rate", "1e-3", "--verbose", "--seed", "0"]
    options += [part for setting in settings for part in ("--set", setting)]
    return ["train", "--config", "paper", "--data", str(data), "--output", str(output), *options]


def gradients(data: Path) -> dict[str, torch.Tensor]:
    """Compute the gradients of one batch, without dropout and with BatchNorm frozen, in any number of processes."""
    torch.manual_seed(0)
    network = build_network(ModelSpec(**TINY)).eval()
    processes = Place.here().processes
    model = torch.nn.parallel.DistributedDataParallel(network) if processes > 1 else network
    faces = load_faces(data, Split.TRAIN)
    loader = train_loader(faces, PreprocessSpec(image_size=64), AugmentSpec(vary=False), batch_size=16, seed=3)
    batch = next(iter(loader))
    assert len(batch.labels) == 16 // processes
    cmaen_loss(model(batch.images), batch.targets, LossSpec()).backward()
    return {name: value.grad for name, value in network.named_parameters()}


def as_one_of_two() -> None:
    """Train by the command line, then compute the gradients that the same processes find together.

    Before that, the first of them forks one that is killed: what both need has been imported only once.
    """
    data, output = (Path(sys.argv[sys.argv.index(option) + 1]) for option in ("--data", "--output"))
    if "LOCAL_RANK" not in os.environ and hasattr(os, "fork"):
        if not (child := os.fork()):
            train_until_killed(data, output.parent / "killed")
        os.waitpid(child, 0)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert Place.here().processes == 2
    torch.save(gradients(data), output / f"{Place.here().rank}.pt")


def train_until_killed(data: Path, output: Path) -> None:
    """Train by the command line; the system kills this process within the second epoch."""
    step = EmotionModule.training_step

    def die(module: EmotionModule, batch: Batch, number: int) -> torch.Tensor:
        if module.current_epoch == 1 and number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(module, batch, number)

    EmotionModule.training_step = die  # type: ignore[method-assign]
    sys.argv[1:] = training(data, output, 2)
    main()


@pytest.fixture(scope="module")
def runs(fer_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train in processes of their own: ``run`` in two that share it, and ``killed`` in one that was killed."""
    folder = tmp_path_factory.mktemp("processes")
    done = subprocess.run(
        [sys.executable, "-m", __name__, *training(fer_tree, folder / "run", 2, "training.devices=2")],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder


def test_two_processes_train_one_network_with_the_gradients_of_one(fer_tree: Path, runs: Path) -> None:
    output = runs / "run"
    assert (runs / "stdout").read_text().count("best checkpoint") == 1
    assert (runs / "stderr").read_text().count("epoch 2 of 2") == 1
    assert (output / "best" / "model.safetensors").is_file()
    one, first, second = gradients(fer_tree), torch.load(output / "0.pt"), torch.load(output / "1.pt")
    assert one
    for name, gradient in one.items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], gradient, rtol=1e-3, atol=1e-6), name


def test_torchrun_says_how_many_processes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu = {"accelerator": "cpu", "num_nodes": 1, "strategy": "auto"}
    assert loop._processes(LoopSpec(device="cpu")) == on_cpu | {"devices": 1}
    for name, value in (("TORCHELASTIC_RUN_ID", "run"), ("LOCAL_WORLD_SIZE", "2"), ("WORLD_SIZE", "6")):
        monkeypatch.setenv(name, value)
    found = loop._processes(LoopSpec(device="cpu", devices=5, batch_size=12))
    assert found == {"accelerator": "cpu", "devices": 2, "num_nodes": 3, "strategy": "ddp"}
    with pytest.raises(ConfigError, match="a batch of 16 cannot be divided evenly among 6 processes"):
        loop._processes(LoopSpec(batch_size=16))


def test_a_gpu_that_is_named_trains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert loop._processes(LoopSpec(device="cuda:2")) == {
        "accelerator": "cuda",
        "devices": [2],
        "num_nodes": 1,
        "strategy": "auto",
    }
    assert loop._processes(LoopSpec(device="cuda", devices=4))["devices"] == 4
    with pytest.raises(ValueError, match="2 processes cannot share cuda:2"):
        LoopSpec(device="cuda:2", devices=2)


def test_a_batch_that_cannot_be_shared_out(fer_tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    said = cmaen(
        "train", "--data", fer_tree, "--output", output, "--batch-size", "15", "--set", "training.devices=2", code=2
    )
    assert "a batch of 15 cannot be divided evenly among 2 processes" in said
    assert not output.exists()


def validated(output: Path) -> dict[str, tuple[str, str]]:
    """Return the accuracy and loss of each epoch, over all logs of a run."""
    found = {}
    for log in sorted(output.glob("logs/*/metrics.csv")):
        for row in csv.DictReader(log.open()):
            if row.get("val_loss"):
                found[row["epoch"]] = row["val_accuracy"], row["val_loss"]
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_killed_run_goes_on_as_if_nothing_had_been(fer_tree: Path, runs: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads() + 1  # an engine in this process has used that many before
    build_engine("torch", runs / "run" / "best", threads=threads)(np.zeros((1, 3, 64, 64), np.float32))
    whole, killed = tmp_path / "whole", Path(shutil.copytree(runs / "killed", tmp_path / "killed"))
    assert torch.load(killed / "last.ckpt", weights_only=True)["epoch"] == 0
    assert not (killed / "best").exists()
    cmaen(*training(fer_tree, whole, 2))
    cmaen(*training(fer_tree, killed, 2), "--resume")
    expected, result = (torch.load(run / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, killed))
    assert all(torch.equal(expected[name], result[name]) for name in expected)
    curve = validated(whole)
    assert len(curve) == 2
    assert all(curve[epoch] == figures for epoch, figures in validated(killed).items())


if __name__ == "__main__":
    as_one_of_two()
