"""The models that come with the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cmaen.checkpoints.card import FILES
from cmaen.checkpoints.checkpoint import Checkpoint
from cmaen.checkpoints.hub import MODELS
from cmaen.checkpoints.metrics import OnPhotographs


@dataclass(frozen=True)
class ModelEntry:
    """A model that comes with the package.

    Attributes:
        name: Name that :meth:`cmaen.checkpoints.Checkpoint.open` and every command accept.
        description: Short description.
        schemes: Its label schemes; the last is the default.
        accuracies: Accuracy on FER2013's validation split by label scheme, in [0, 1].
        photographs: Figures on whole photographs, by label scheme.
        bytes: Size of each engine's file, for the engines that have one.
        parameters: Number of parameters of the network; ``None`` if the card does not record it.
        licence: Licence of the weights.
    """

    name: str
    description: str
    schemes: tuple[str, ...]
    accuracies: Mapping[str, float]
    photographs: Mapping[str, OnPhotographs]
    bytes: Mapping[str, int]
    parameters: int | None
    licence: str

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return asdict(self)


def list_models() -> list[ModelEntry]:
    """List the models that come with the package, the default first.

    Raises:
        CheckpointError: One of them is damaged.
    """
    return [_describe(name, description) for name, description in MODELS.items()]


def _describe(name: str, description: str) -> ModelEntry:
    checkpoint = Checkpoint.open(name)
    card = checkpoint.card
    return ModelEntry(
        name=name,
        description=description,
        schemes=tuple(card.schemes),
        accuracies=checkpoint.accuracies,
        photographs=checkpoint.metrics.photographs,
        bytes={engine: checkpoint.size_of(engine) for engine in FILES if checkpoint.has(engine)},
        parameters=card.cost.get("parameters"),
        licence=card.licence,
    )
