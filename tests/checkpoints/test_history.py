from __future__ import annotations

from pathlib import Path

import pytest

from cmaen.checkpoints.history import HISTORY, Epoch, join_histories, read_history, read_log, write_history
from cmaen.errors import CheckpointError


def test_a_history_comes_back_and_what_was_not_kept_stays_empty(tmp_path: Path) -> None:
    epochs = [Epoch("a", 1, 2.5, 0.25, 1.5, 0.5, 0.4, 1e-3), Epoch("b, c", 1, val_accuracy=0.7083)]
    write_history(tmp_path, epochs)
    assert read_history(tmp_path) == epochs
    assert (tmp_path / HISTORY).read_text().splitlines()[2] == '"b, c",1,,,,0.7083,,'
    write_history(tmp_path, [])
    assert read_history(tmp_path) == []
    assert not (tmp_path / HISTORY).exists()


@pytest.mark.parametrize("text", ["run,epoch\na,one\n", "epoch\n1\n", "run,epoch,val_loss\na,1,much\n"])
def test_a_broken_history_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_text(text)
    with pytest.raises(CheckpointError, match="can be used without that file"):
        read_history(tmp_path)


def test_histories_of_one_name_are_told_apart() -> None:
    first, second = [Epoch("a", 1), Epoch("a", 2)], [Epoch("a", 1), Epoch("b", 1)]
    joined = join_histories([first, second, first])
    assert [epoch.run for epoch in joined] == ["a", "a", "a (2)", "b", "a (3)", "a (3)"]
    assert join_histories([[], second]) == second


def test_the_log_of_a_resumed_run_is_one(tmp_path: Path) -> None:
    for version, rows in (("version_0", "0,,1.5\n0,0.4,\n1,0.5,\n"), ("version_1", "1,0.6,\n2,0.7,\n")):
        log = tmp_path / "logs" / version / "metrics.csv"
        log.parent.mkdir(parents=True)
        log.write_text("epoch,val_accuracy,train_loss\n" + rows)
    assert read_log(tmp_path, "a") == [
        Epoch("a", 1, train_loss=1.5, val_accuracy=0.4),
        Epoch("a", 2, val_accuracy=0.6),
        Epoch("a", 3, val_accuracy=0.7),
    ]
    assert read_log(tmp_path / "elsewhere", "a") == []


def test_the_tenth_log_is_read_after_the_second_and_broken_rows_are_left_out(tmp_path: Path) -> None:
    for version, rows in ((10, "3,0.9\n"), (2, "3,0.1\n4,0.2x,7\n,0.5\nhalf a r")):
        log = tmp_path / "logs" / f"version_{version}" / "metrics.csv"
        log.parent.mkdir(parents=True)
        log.write_text("epoch,val_accuracy\n" + rows)
    assert read_log(tmp_path, "a") == [Epoch("a", 4, val_accuracy=0.9)]
