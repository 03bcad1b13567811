"""``history.csv``: the training of a checkpoint, epoch by epoch.

An average of networks has the epochs of all of them, distinguished by ``run``. Missing figures are empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cmaen.errors import CheckpointError
from cmaen.files import write_text

HISTORY = "history.csv"


class Epoch(NamedTuple):
    """One epoch of a run; figures that were not recorded are ``None``.

    Attributes:
        run: Title of the run.
        epoch: Number of the epoch, from 1.
        train_loss, train_accuracy: Figures on the augmented training images; the loss includes all of its terms.
        val_loss, val_accuracy, val_macro_f1: Figures on validation, with the averaged weights if there are any; the
            loss is the cross-entropy.
        learning_rate: Learning rate in the middle of the epoch, of parameters without a factor of their own.
    """

    run: str
    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    val_macro_f1: float | None = None
    learning_rate: float | None = None


def read_history(folder: Path) -> list[Epoch]:
    """Read the epochs of a checkpoint or a run; empty if they were not recorded.

    Raises:
        CheckpointError: The file exists but cannot be read.
    """
    path = folder / HISTORY
    if not path.is_file():
        return []
    try:
        return parse_history(path.read_text(encoding="utf-8"))
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error!r}; the checkpoint can be used without that file"
        ) from error


def parse_history(text: str) -> list[Epoch]:
    """Parse the epochs in a file's content.

    Raises:
        KeyError, TypeError, ValueError, csv.Error: The text is not a history.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [Epoch(row["run"], int(row["epoch"]), **_read_figures(row)) for row in rows]


def format_history(epochs: Sequence[Epoch]) -> str:
    """Format epochs as the content of a file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Epoch._fields)
    for run, number, *figures in epochs:
        writer.writerow([run, number, *("" if value is None else f"{value:.6g}" for value in figures)])
    return text.getvalue()


def write_history(folder: Path, epochs: Sequence[Epoch]) -> None:
    """Write the epochs of a run atomically; without epochs, the file of an older run is removed.

    Raises:
        OutputError: The file cannot be written.
    """
    if not epochs:
        (folder / HISTORY).unlink(missing_ok=True)
        return
    write_text(folder / HISTORY, format_history(epochs))


def join_histories(histories: Sequence[Sequence[Epoch]]) -> list[Epoch]:
    """Join the epochs of several checkpoints, one after the other; runs with the same name are numbered."""
    found: list[Epoch] = []
    for history in histories:
        taken = {epoch.run for epoch in found}
        names = {run: _find_free(run, taken) for run in {epoch.run for epoch in history}}
        found += [epoch._replace(run=names[epoch.run]) for epoch in history]
    return found


def read_log(output: Path, run: str) -> list[Epoch]:
    """Read the epochs of the run in a folder from all its CSV logs and its own ``history.csv``; empty without any.

    Args:
        output: Folder of the run.
        run: Title of the run.
    """
    epochs: dict[int, dict[str, float]] = {}
    logs = output.glob("logs/version_*/metrics.csv")
    for log in sorted(logs, key=lambda log: (len(log.parent.name), log.parent.name)):  # version_10 after version_2
        with log.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                with suppress(KeyError, ValueError):  # rows without an epoch, and the last row of a killed run
                    figures = _read_figures(row)
                    epochs.setdefault(int(row["epoch"]) + 1, {}).update(figures)
    with suppress(CheckpointError):
        for epoch in read_history(output):
            known = {name: value for name, value in epoch._asdict().items() if value is not None}
            epochs.setdefault(epoch.epoch, {}).update(
                {name: known[name] for name in Epoch._fields[2:] if name in known}
            )
    return [Epoch(run, number, **epochs[number]) for number in sorted(epochs)]


def _read_figures(row: dict[str, str]) -> dict[str, float]:
    """Return the figures that a row has."""
    return {name: float(row[name]) for name in Epoch._fields[2:] if row.get(name)}


def _find_free(name: str, taken: set[str]) -> str:
    """Return the name, followed by a number if it is taken."""
    number = 1
    while (free := name if number == 1 else f"{name} ({number})") in taken:
        number += 1
    return free
