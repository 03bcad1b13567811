"""Callbacks that log the progress of a run."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, Checkpoint

from cmaen.checkpoints.history import Epoch, read_history, write_history
from cmaen.training.progress import write_figures

log = logging.getLogger(__name__)


class Pace(Callback):
    """Logs the images per second of each epoch, over all processes, and the share of that time spent on the loader."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.started = self.left = self.waited = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started = self.left = time.perf_counter()
        self.waited = 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Note that the loader has delivered a batch."""
        self.waited += time.perf_counter() - self.left

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Note that the step is done."""
        self.left = time.perf_counter()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the speed of the training epoch before this validation."""
        seconds = self.left - self.started
        pl_module.log("images_per_second", trainer.num_training_batches * self.batch_size / seconds)
        pl_module.log("loader_share", self.waited / seconds)


class Figures(Checkpoint):
    """Writes the figures of every epoch to the run's ``history.csv`` before its checkpoint is written.

    Lightning's own logs receive an epoch's last figures after the checkpoint, so a kill in between would lose them.
    Lightning runs callbacks of this kind last, in their order.
    """

    def __init__(self, output: Path, run: str) -> None:
        self.output = output
        self.run = run

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch; overwrite it if the run was interrupted after writing it and is now resumed."""
        if not trainer.is_global_zero:
            return
        metrics, number = trainer.callback_metrics, trainer.current_epoch + 1
        figures = {name: float(metrics[name]) for name in Epoch._fields[2:] if name in metrics}
        before = [epoch for epoch in read_history(self.output) if epoch.epoch < number]
        write_history(self.output, [*before, Epoch(self.run, number, **figures)])


class EpochLog(Callback):
    """Logs one line per epoch, above the progress line in a terminal.

    Args:
        monitored: Validation figure that chooses the best epoch: the highest.
    """

    def __init__(self, monitored: str) -> None:
        self.monitored = monitored
        self.best = float("-inf")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch and its figures."""
        if not trainer.is_global_zero:
            return
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        value = figures.get(self.monitored, float("-inf"))
        best, self.best = value > self.best, max(value, self.best)
        pace = f"; {figures['images_per_second']:.0f} images/s" if "images_per_second" in figures else ""
        text = write_figures(figures, self.monitored, best=best)
        log.info("epoch %d of %s: %s%s", trainer.current_epoch + 1, trainer.max_epochs, text, pace)

    def state_dict(self) -> dict[str, float]:
        """See :class:`lightning.pytorch.callbacks.Callback`."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """See :class:`lightning.pytorch.callbacks.Callback`."""
        self.best = state_dict["best"]
