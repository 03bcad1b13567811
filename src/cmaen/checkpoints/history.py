"""``history.csv``: how the training of a checkpoint went, epoch by epoch.

An average of networks has the epochs of all of them, told apart by ``run``. What was not kept is empty.
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
    """One epoch of a run; figures that were not kept are ``None``.

    Attributes:
        run: Which.
        epoch: Its number, from 1.
        train_loss, train_accuracy: Of the training images, augmented as they were; the loss with all of its terms.
        val_loss, val_accuracy, val_macro_f1: Of validation, with the averaged weights where there are any; the loss is
            the cross-entropy.
        learning_rate: In the middle of the epoch, of what has no factor of its own.
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
    """The epochs of a checkpoint or a run; none where they were not kept.

    Raises:
        CheckpointError: The file is there and cannot be read.
    """
    path = folder / HISTORY
    if not path.is_file():
        return []
    try:
        return parse_history(path.read_text(encoding="utf-8"))
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error!r}; without that file the checkpoint is usable"
        ) from error


def parse_history(text: str) -> list[Epoch]:
    """The epochs of a file's content.

    Raises:
        KeyError, TypeError, ValueError, csv.Error: It is no history.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [Epoch(row["run"], int(row["epoch"]), **_read_figures(row)) for row in rows]


def format_history(epochs: Sequence[Epoch]) -> str:
    """The content of a file of epochs."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Epoch._fields)
    for run, number, *figures in epochs:
        writer.writerow([run, number, *("" if value is None else f"{value:.6g}" for value in figures)])
    return text.getvalue()


def write_history(folder: Path, epochs: Sequence[Epoch]) -> None:
    """Write the epochs of a run, whole or not at all; where there are none, those of an older one go away.

    Raises:
        OutputError: The file cannot be written.
    """
    if not epochs:
        (folder / HISTORY).unlink(missing_ok=True)
        return
    write_text(folder / HISTORY, format_history(epochs))


def join_histories(histories: Sequence[Sequence[Epoch]]) -> list[Epoch]:
    """The epochs of several checkpoints, one after the other; runs of one name are numbered."""
    found: list[Epoch] = []
    for history in histories:
        taken = {epoch.run for epoch in found}
        names = {run: _find_free(run, taken) for run in {epoch.run for epoch in history}}
        found += [epoch._replace(run=names[epoch.run]) for epoch in history]
    return found


def read_log(output: Path, run: str) -> list[Epoch]:
    """The epochs of the run in a folder, over all its CSV logs and its own ``history.csv``; none where there are none.

    Args:
        output: The folder of the run.
        run: What to call it.
    """
    epochs: dict[int, dict[str, float]] = {}
    logs = output.glob("logs/version_*/metrics.csv")
    for log in sorted(logs, key=lambda log: (len(log.parent.name), log.parent.name)):  # version_10 after version_2
        with log.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                with suppress(KeyError, ValueError):  # rows of no epoch, and the last one of a run that was killed
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
    """Those that a row has."""
    return {name: float(row[name]) for name in Epoch._fields[2:] if row.get(name)}


def _find_free(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where it is taken."""
    number = 1
    while (free := name if number == 1 else f"{name} ({number})") in taken:
        number += 1
    return free
