from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("lightning")

import lightning.pytorch as pl
import torch
from rich.console import Console
from torch.utils.data import DataLoader, TensorDataset

from cmaen.training.progress import RunClock, RunProgress, write_figures


def test_the_time_left_follows_what_was_done_here() -> None:
    now = [0.0]
    clock = RunClock(lambda: now[0])
    clock.begin(2)  # of a run that is resumed
    assert clock.left(2, 10) is None
    now[0] = 30.0
    assert clock.left(3, 10) == pytest.approx(210)
    assert clock.left(10, 10) == 0
    assert clock.left(11, 10) == 0


def test_the_figures_of_an_epoch_are_words() -> None:
    figures = {
        "val_accuracy": 0.8824,
        "train_loss": 0.86213,
        "lr-AdamW": 1e-3,
        "val_macro_f1": 0.87,
        "train_accuracy": 1,
    }
    assert (
        write_figures(figures, "val_accuracy", best=True) == "loss 0.862, accuracy 88.2% (best so far), macro-F1 0.87"
    )
    assert write_figures({"val_psnr": 31.234}, "val_psnr", best=False) == "val_psnr 31.2"


class Tiny(pl.LightningModule):
    """Learns nothing; its validation is better in the first epoch than in the second."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Any, number: int) -> torch.Tensor:
        loss = (self.weight * 0).sum() + 0.5
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, number: int) -> None:
        self.log("val_accuracy", 0.75 if self.current_epoch == 0 else 0.5)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(console: Console, tmp_path: Path, *, fails: bool = False) -> RunProgress:
    class Failing(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            if fails:
                raise ValueError("as a full disk")

    shown = RunProgress("val_accuracy", console)
    loader = DataLoader(TensorDataset(torch.zeros(3, 1)), batch_size=1)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
        callbacks=[shown, Failing()],
    )
    trainer.fit(Tiny(), loader, loader)
    return shown


def test_a_run_shows_epoch_batch_loss_validation_and_the_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    show = RunProgress._show

    def spy(self: RunProgress, trainer: Any, batches: int) -> None:
        show(self, trainer, batches)
        assert self._bar is not None
        task = self._bar.tasks[0]
        lines.append(f"{task.description} {task.completed:.0f}/{task.total:.0f} {task.fields['said']}")

    monkeypatch.setattr(RunProgress, "_show", spy)
    screen = io.StringIO()
    train(Console(file=screen, force_terminal=True, width=120), tmp_path)
    assert lines[0] == "epoch 1 of 2 0/3 "
    assert re.fullmatch(r"epoch 1 of 2 3/3 loss 0\.500   \d+:\d\d left", lines[3])
    assert lines[4].startswith("epoch 2 of 2 0/3 validation 75.0% (best)   ")
    assert "epoch 2 of 2" in screen.getvalue()


def test_a_later_epoch_names_the_best_one(tmp_path: Path) -> None:
    shown = train(Console(file=io.StringIO(), force_terminal=True, width=120), tmp_path)
    assert shown._validation == "validation 50.0% (best 75.0%, epoch 1)"
    assert shown._bar is None


def test_a_run_that_fails_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    screen = io.StringIO()
    with pytest.raises(ValueError, match="full disk"):
        train(Console(file=screen, force_terminal=True, width=120), tmp_path, fails=True)
    assert screen.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in screen.getvalue(), "the cursor is shown again"


def test_a_run_that_is_resumed_knows_how_good_it_was() -> None:
    shown = RunProgress("val_accuracy", Console(file=io.StringIO(), force_terminal=True))
    kept = SimpleNamespace(monitor="val_accuracy", best_model_score=torch.tensor(0.9))
    other = SimpleNamespace(monitor=None, best_model_score=None)
    trainer = SimpleNamespace(
        is_global_zero=True,
        current_epoch=4,
        checkpoint_callbacks=[other, kept],
        callback_metrics={"val_accuracy": torch.tensor(0.8)},
    )
    shown.on_train_start(trainer, None)  # type: ignore[arg-type]
    shown.on_validation_end(trainer, None)  # type: ignore[arg-type]
    assert shown._validation == "validation 80.0% (best 90.0%)"
    shown.on_train_end(trainer, None)  # type: ignore[arg-type]


def test_only_the_first_process_shows_it() -> None:
    shown = RunProgress("val_accuracy", Console(file=io.StringIO(), force_terminal=True))
    shown.on_train_start(SimpleNamespace(is_global_zero=False), None)  # type: ignore[arg-type]
    assert shown._bar is None
