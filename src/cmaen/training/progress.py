"""Progress of a run in one line on a terminal: epoch, batch, loss, validation, best result and remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from cmaen.drawing.lettering import write_time

_NAMES = {
    "train_loss": "loss",
    "train_accuracy": "accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "accuracy",
    "val_macro_f1": "macro-F1",
    "val_perceived": "agreement with annotators",
}
"""Readable names of an epoch's figures; other figures keep their own names."""
_SHARES = ("val_accuracy", "val_perceived")
_SHORT = 0.1
"""Weight of the latest batch in the running average of the loss."""


class RunClock:
    """A clock that estimates the remaining time of a run from the batches that are done.

    Args:
        now: Function that returns the time in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now()
        self._at_first = 0.0

    def begin(self, done: float) -> None:
        """Start the clock of a run in which a number of epochs is already done."""
        self._began, self._at_first = self._now(), done

    def left(self, done: float, epochs: int) -> float | None:
        """Estimate the remaining seconds from the number of epochs done; ``None`` before there is anything to go by."""
        here = done - self._at_first
        if here <= 0:
            return None
        return (self._now() - self._began) / here * max(epochs - done, 0.0)


def write_figures(figures: Mapping[str, float], monitored: str, *, best: bool) -> str:
    """Describe an epoch's figures, such as ``loss 0.862, validation loss 0.51, accuracy 88.2% (best so far)``.

    Args:
        figures: Figures by the names that the module logs.
        monitored: Name of the figure that determines the best epoch.
        best: Whether this epoch is the best so far.
    """
    order = [name for name in _NAMES if name in figures and name != "train_accuracy"]
    order += [name for name in figures if name == monitored and name not in order]
    texts = []
    for name in order:
        value = f"{figures[name]:.1%}" if name in _SHARES else f"{figures[name]:.3g}"
        texts.append(f"{_NAMES.get(name, name)} {value}{' (best so far)' if best and name == monitored else ''}")
    return ", ".join(texts)


class RunProgress(Callback):
    """A callback that shows the line; log messages appear above it. Only the first of several processes shows it.

    Args:
        monitored: Name of the validation figure that determines the best epoch, which has the highest value.
        console: Terminal that shows the line; standard error by default.
    """

    def __init__(self, monitored: str, console: Console | None = None) -> None:
        self._monitored = monitored
        self._console = console or Console(stderr=True)
        self._clock = RunClock()
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._loss: float | None = None
        self._validation = ""
        # the figure and its epoch, which a resumed run does not know
        self._best: tuple[float, int | None] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the line."""
        if not trainer.is_global_zero:
            return
        self._clock.begin(trainer.current_epoch)
        for kept in trainer.checkpoint_callbacks:
            score = getattr(kept, "best_model_score", None)
            if getattr(kept, "monitor", None) == self._monitored and score is not None:
                self._best = float(score), None
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
        )
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("", total=None, said="", visible=False)
        self._bar.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the epoch's bar."""
        self._loss = None
        self._show(trainer, 0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch, and update the running average of the loss."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if self._bar is not None and loss is not None:
            latest = float(loss)
            self._loss = latest if self._loss is None else self._loss + _SHORT * (latest - self._loss)
        self._show(trainer, batch_idx + 1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the validation result of the epoch."""
        value = trainer.callback_metrics.get(self._monitored)
        if self._bar is None or value is None:
            return
        figure, number = float(value), trainer.current_epoch + 1
        if self._best is None or figure > self._best[0]:
            self._best = figure, number
        highest, where = self._best
        earlier = f"best {self._write(highest)}{'' if where is None else f', epoch {where}'}"
        best = "best" if where == number else earlier
        self._validation = f"validation {self._write(figure)} ({best})"

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the line."""
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Remove the line; the caller of the run reports the error."""
        self._stop()

    def _show(self, trainer: pl.Trainer, batches: int) -> None:
        if self._bar is None:
            return
        total, epochs = int(trainer.num_training_batches), trainer.max_epochs or 0
        left = self._clock.left(trainer.current_epoch + batches / max(total, 1), epochs)
        texts = [
            "" if self._loss is None else f"loss {self._loss:.3f}",
            self._validation,
            "" if left is None else f"{write_time(left)} left",
        ]
        self._bar.update(
            self._task,
            description=f"epoch {trainer.current_epoch + 1} of {epochs}",
            completed=batches,
            visible=True,
            total=total,
            said="   ".join(filter(None, texts)),
        )

    def _write(self, figure: float) -> str:
        return f"{figure:.1%}" if self._monitored in _SHARES else f"{figure:.3g}"

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
