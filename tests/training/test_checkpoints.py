from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from cmaen.errors import CheckpointError, OutputError  # noqa: E402
from cmaen.training.checkpoints import PlainCheckpoints, read_run_state  # noqa: E402
from cmaen.training.run import train  # noqa: E402
from tests.training.test_run import config, with_a_power_cut  # noqa: E402


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture(scope="module")
def begun(fer_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its second epoch."""
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
