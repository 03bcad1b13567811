from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from lightning.pytorch.callbacks import ModelCheckpoint  # noqa: E402
from lightning.pytorch.loggers import CSVLogger  # noqa: E402

from cmaen.checkpoints import Checkpoint  # noqa: E402
from cmaen.errors import CheckpointError, OutputError  # noqa: E402
from cmaen.locks import hold  # noqa: E402
from cmaen.training import loop  # noqa: E402
from cmaen.training.checkpoints import PlainCheckpoints, read_run_state  # noqa: E402
from cmaen.training.run import train  # noqa: E402
from tests.training.test_run import config, with_a_power_cut  # noqa: E402


class Malicious:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture(scope="module")
def begun(fer_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Start a run and interrupt it in its second epoch."""
    plan = config(fer_tree, tmp_path_factory.mktemp("runs") / "begun")
    with_a_power_cut(plan)
    return plan.output


@pytest.mark.parametrize("damage", ["malicious", "truncated", "text", "empty", "another", "a list"])
def test_a_state_that_is_damaged_or_holds_code_is_refused(
    damage: str, begun: Path, fer_tree: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    shutil.copytree(begun, output)
    last = output / "last.ckpt"
    whole = last.read_bytes()
    if damage == "malicious":
        torch.save({**read_run_state(last), "more": Malicious(tmp_path / "executed")}, last)
    elif damage == "truncated":
        last.write_bytes(whole[: len(whole) // 2])
    elif damage == "another":
        torch.save({"state_dict": {}}, last)
    elif damage == "a list":
        torch.save([1, 2], last)
    else:
        last.write_bytes(b"" if damage == "empty" else b"no state")
    with pytest.raises(CheckpointError, match=r"last\.ckpt"):
        train(config(fer_tree, output), resume=True)
    assert not (tmp_path / "executed").exists()


def test_a_full_disk_leaves_the_state_before_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    PlainCheckpoints().save_checkpoint({"epoch": 0}, path)
    before = path.read_bytes()

    def full(state: object, file: Path) -> None:
        assert Path(file).parent == tmp_path
        Path(file).write_bytes(before[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        PlainCheckpoints().save_checkpoint({"epoch": 1}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_best_state_is_plain_data_too(begun: Path, tmp_path: Path) -> None:
    assert read_run_state(begun / "best.ckpt")["epoch"] == 0
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": Malicious(tmp_path / "executed")}, path)
    with pytest.raises(CheckpointError):
        read_run_state(path)
    assert not (tmp_path / "executed").exists()


def test_a_run_whose_folder_was_moved_keeps_its_best_epoch(begun: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(begun, tmp_path / "moved"))
    before, after = read_run_state(moved / "last.ckpt"), PlainCheckpoints().load_checkpoint(moved / "last.ckpt")
    (name,) = [name for name in before["callbacks"] if name.startswith("ModelCheckpoint{'monitor': 'val_accuracy'")]
    assert before["callbacks"][name]["dirpath"] == str(begun.resolve())
    kept = after["callbacks"][name]
    assert kept["dirpath"] == str(moved.resolve())
    assert kept["best_model_path"] == str(moved.resolve() / "best.ckpt")
    assert list(kept["best_k_models"]) == [kept["best_model_path"]]
    assert kept["best_model_score"] == before["callbacks"][name]["best_model_score"]
    (moved / "best.ckpt").unlink()
    kept = PlainCheckpoints().load_checkpoint(moved / "last.ckpt")["callbacks"][name]
    assert (kept["best_model_path"], kept["best_model_score"], kept["best_k_models"]) == ("", None, {})


def test_a_moved_run_does_not_replace_its_best_epoch_by_a_worse_one(
    begun: Path, fer_tree: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(begun, tmp_path / "moved"))
    state = read_run_state(moved / "last.ckpt")
    for kept in state["callbacks"].values():
        if kept.get("monitor") == "val_accuracy":  # no accuracy can exceed this
            kept |= {"best_model_score": torch.tensor(2.0), "kth_value": torch.tensor(2.0)}
            kept["best_k_models"] = {path: torch.tensor(2.0) for path in kept["best_k_models"]}
    torch.save(state, moved / "last.ckpt")
    best = (moved / "best.ckpt").read_bytes()
    folder = train(config(fer_tree, moved), resume=True)
    assert (moved / "best.ckpt").read_bytes() == best
    assert Checkpoint.open(folder).provenance.recorded["epochs"] == 1


def test_figures_of_an_epoch_survive_a_kill_right_after_its_checkpoint(fer_tree: Path, tmp_path: Path) -> None:
    plan = config(fer_tree, tmp_path / "run")

    def kill(self: ModelCheckpoint, trainer: object, *_: object) -> None:
        if trainer.current_epoch == 0 and (plan.output / "last.ckpt").is_file():  # type: ignore[attr-defined]
            raise SystemExit

    class Last(ModelCheckpoint):
        on_train_epoch_end = kill

    with pytest.MonkeyPatch.context() as patch:
        real = loop._callbacks
        patch.setattr(loop, "_callbacks", lambda *given: [*real(*given), Last()])
        with pytest.raises(SystemExit):
            train(plan)
    history = Checkpoint.open(train(plan, resume=True)).history
    assert [epoch.epoch for epoch in history] == [1, 2]
    assert all(value is not None for epoch in history for value in epoch)


def test_a_full_disk_in_the_logs_is_named(fer_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CSVLogger, "save", full)
    with pytest.raises(OutputError, match="free some space"):
        train(config(fer_tree, tmp_path / "run", epochs=1))


def test_an_early_end_is_said_and_a_second_run_refused(
    fer_tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = config(fer_tree, tmp_path / "run", epochs=9, patience=1, learning_rate=1e-12, ema_decay=None)
    with hold(plan.output), pytest.raises(OutputError, match="being written by another run"):
        train(plan)
    assert not plan.output.exists()
    train(plan)
    assert "the run ended early, after epoch" in caplog.text
    assert "of 9: val_accuracy did not improve for 1 epochs" in caplog.text
