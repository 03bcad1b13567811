"""Averaging networks that share a start: ``cmaen average`` as a function with a typed result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cmaen.checkpoints import Checkpoint, Measured, Where
from cmaen.data.faces import load_for
from cmaen.data.ferplus import AUTO, with_votes
from cmaen.data.splits import Split
from cmaen.evaluation.run import validate
from cmaen.models.checkpoint import average_checkpoints


@dataclass(frozen=True)
class AverageResult:
    """A network that is the average of others.

    Attributes:
        checkpoint: Checkpoint of the average.
        split: Faces on which it was measured; ``None`` if it was not.
        measured: The measured figures, also kept in its metrics; ``None`` if it was not measured.
    """

    checkpoint: Checkpoint
    split: str | None = None
    measured: Measured | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return {
            "checkpoint": self.checkpoint.describe(),
            "split": self.split,
            "measured": None if self.measured is None else asdict(self.measured),
        }


def average(
    checkpoints: Sequence[Where],
    output: Path | str,
    *,
    weights: Sequence[float] | None = None,
    data: Path | str | None = None,
    votes: Path | str | None = AUTO,
) -> AverageResult:
    """Average the weights of networks that were trained from the same one: one network, often better than each of them.

    Args:
        checkpoints: Checkpoints of one architecture and one preprocessing, see
            :meth:`cmaen.checkpoints.Checkpoint.open`; the first provides the card.
        output: Folder of the new checkpoint.
        weights: Weight of each checkpoint; ``None`` for equal ones.
        data: Faces on whose validation split the average is measured, see :func:`cmaen.data.faces.load_faces`.
        votes: FER+ votes for the scheme ``perceived``, see :func:`cmaen.data.ferplus.with_votes`.

    Raises:
        CheckpointError: A checkpoint is missing or damaged, or they are of different kinds.
        ConfigError: There is not one weight above 0 for each, or the folder is that of a part.
        DataError: The faces cannot be read; the average is written anyway.
        OutputError: The folder cannot be written.
    """
    folder = Path(output)
    card = average_checkpoints(checkpoints, weights or [1.0] * len(checkpoints), folder)
    if data is None:
        return AverageResult(Checkpoint(folder))
    faces = with_votes(load_for(card, Path(data), Split.VALIDATION), votes)
    measured = validate(folder, faces)
    return AverageResult(Checkpoint(folder), faces.title, measured)
