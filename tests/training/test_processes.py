"""More than one process, and processes that are killed: real ones, started as a user starts them."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from cmaen.data.fer2013 import load_fer2013  # noqa: E402
from cmaen.data.splits import Split  # noqa: E402
from cmaen.losses import LossWeights, cmaen_loss  # noqa: E402
from cmaen.models.build import build_cmaen  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.training.batches import Regime, train_loader  # noqa: E402
from tests.conftest import TINY  # noqa: E402
from tests.test_cli import cmaen  # noqa: E402


def train_command(data: Path, output: Path, epochs: int, *more: str) -> list[str]:
    model = [f"model.{key}={value}" for key, value in (TINY | {"dropout": 0.3, "stochastic_depth": 0.3}).items()]
    settings = ["preprocess.image_size=64", "training.ema_decay=0.9", "training.accelerator=cpu", *model, *more]
    command = [sys.executable, "-m", "cmaen", "train", "--data", str(data), "--output", str(output)]
    command += ["--epochs", str(epochs), "--batch-size", "16", "--learning-rate", "1e-3", "--verbose", "--seed", "0"]
    return command + [part for setting in settings for part in ("--set", setting)]


def gradients(rank: int, processes: int, data: Path, results: Path) -> None:
    """Gradients of one batch of a network with dropout off and its BatchNorm at rest, as one of so many processes."""
    torch.set_num_threads(1)
    if processes > 1:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{results}/meeting", rank=rank, world_size=processes
        )
    torch.manual_seed(0)
    network = build_cmaen(**TINY).eval()
    model = torch.nn.parallel.DistributedDataParallel(network) if processes > 1 else network
    faces = load_fer2013(data, Split.TRAIN)
    loader = train_loader(faces, PreprocessSpec(image_size=64), Regime(augmented=False), batch_size=16, seed=3)
    batch = next(iter(loader))
    assert len(batch.labels) == 16 // processes
    cmaen_loss(model(batch.images), batch.targets, LossWeights()).backward()
    found = {name: value.grad for name, value in network.named_parameters()}
    torch.save(found, results / f"{processes}-{rank}.pt")
    if processes > 1:
        torch.distributed.destroy_process_group()


def test_two_processes_give_the_gradients_of_one(fer_tree: Path, tmp_path: Path) -> None:
    gradients(0, 1, fer_tree, tmp_path)
    torch.multiprocessing.spawn(gradients, (2, fer_tree, tmp_path), nprocs=2)
    one, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    assert one
    for name, gradient in one.items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], gradient, rtol=1e-3, atol=1e-6), name


def test_two_processes_train_one_network(fer_tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    done = subprocess.run(
        train_command(fer_tree, output, 2, "training.devices=2"), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best checkpoint") == 1
    assert done.stderr.count("epoch 2/2") == 1
    assert (output / "best" / "model.safetensors").is_file()


def test_torchrun_starts_the_processes_itself(fer_tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cmaen"]
    done = subprocess.run(
        [*command, *train_command(fer_tree, output, 1)[3:]], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best checkpoint") == 1
    assert (output / "best" / "model.safetensors").is_file()


def test_a_batch_that_cannot_be_shared_out(fer_tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    said = cmaen(
        "train", "--data", fer_tree, "--output", output, "--batch-size", "15", "--set", "training.devices=2", code=2
    )
    assert "a batch of 15 cannot be shared out among 2 processes" in said
    assert not output.exists()


def validated(output: Path) -> dict[str, tuple[str, str]]:
    """Accuracy and loss of each epoch, over all logs of a run."""
    found = {}
    for log in sorted(output.glob("logs/*/metrics.csv")):
        for row in csv.DictReader(log.open()):
            if row.get("val_loss"):
                found[row["epoch"]] = row["val_accuracy"], row["val_loss"]
    return found


def test_a_killed_run_goes_on_as_if_nothing_had_been(fer_tree: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(train_command(fer_tree, whole, 4), check=True, capture_output=True, timeout=300)
    process = subprocess.Popen(train_command(fer_tree, killed, 4), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (killed / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "best").exists(), "it was killed too late to prove anything"
    subprocess.run([*train_command(fer_tree, killed, 4), "--resume"], check=True, capture_output=True, timeout=300)
    expected, result = (torch.load(run / "last.ckpt", weights_only=False)["state_dict"] for run in (whole, killed))
    assert all(torch.equal(expected[name], result[name]) for name in expected)
    curve = validated(whole)
    assert len(curve) == 4
    assert all(curve[epoch] == figures for epoch, figures in validated(killed).items())
