"""What a run's folder says of it, so that it goes on as it began and no other run goes on in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cmaen.errors import CheckpointError, ConfigError
from cmaen.files import write_text
from cmaen.training.config import Config, load_config

CONFIG = "config.json"
RECORD = "run.json"
_FREE = {
    "output",
    "data.path",
    "data.votes",
    "data.unlabelled",
    "distillation.teachers",
    "distillation.unlabelled",
    "distillation.cache",
    "training.devices",
    "training.nodes",
    "training.device",
    "licence",
}
"""Keys that do not change what is learnt: where things are, and what the weights may be used for. The device rounds in
its own way; what teachers answer on it is kept as it began, see :attr:`Record.answered_on`."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a run learns from, wherever it lies.

    Attributes:
        training, validation: Fingerprints of the faces.
        votes: Fingerprint of the FER+ votes; ``None`` without.
        teachers: Checksums of the teachers' weights; that of the faces without labels is the last.
        unlabelled: Fingerprint of the faces without labels; ``None`` without.
    """

    training: str
    validation: str
    votes: str | None
    teachers: tuple[str, ...]
    unlabelled: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a run began with and its configuration does not tell.

    Attributes:
        precision: Of the arithmetic; the configuration may say ``auto``.
        pretraining: What the weights came from.
        sources: What is learnt from.
        licence: Of the weights that it began with, where the configuration names no other.
        answered_on: The kind of device that the teachers answered on, for they answer a little otherwise on another;
            empty in runs of before.
    """

    precision: str
    pretraining: str | None
    sources: Sources
    licence: str = ""
    answered_on: str = ""

    def write(self, output: Path) -> None:
        """Write it into the folder of the run."""
        write_text(output / RECORD, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, output: Path) -> Record:
        """The record of the run in a folder.

        Raises:
            CheckpointError: There is none, or it is damaged.
        """
        path = output / RECORD
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            sources = Sources(**{**values["sources"], "teachers": tuple(values["sources"]["teachers"])})
            return cls(
                values["precision"],
                values["pretraining"],
                sources,
                values.get("licence", ""),
                values.get("answered_on", ""),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} cannot be read, so the run cannot go on: {error!r}") from error

    def require(self, sources: Sources, output: Path) -> None:
        """Refuse to go on with other data than the run in ``output`` began with.

        Raises:
            ConfigError: Faces, votes or teachers differ; the message names which.
        """
        names = {
            "training": "training faces",
            "validation": "validation faces",
            "votes": "votes",
            "teachers": "teachers",
            "unlabelled": "unlabelled faces",
        }
        differing = [name for part, name in names.items() if getattr(self.sources, part) != getattr(sources, part)]
        if differing:
            raise ConfigError(
                f"{output} holds a run on other data, for these differ: {', '.join(differing)}; name the same data, "
                "or choose another --output"
            )


def require_same_configuration(config: Config) -> None:
    """Refuse a configuration that is not that of the run in ``config.output``.

    All that changes what is learnt must be the same, the number of epochs too, which the learning rate follows. What
    may differ is where things are: the output, the data, the votes, the teachers and their cache, the devices, nodes
    and device; and the licence, which stays as it began.

    Raises:
        ConfigError: Keys differ, and the message names each with both values; or the folder's configuration cannot be
            read.
    """
    began = dict(_flat(load_config(config.output / CONFIG, {}).model_dump(mode="json")))
    asked = dict(_flat(config.model_dump(mode="json")))
    differing = [
        f"  {key}: {began[key]!r} there, {asked[key]!r} here"
        for key in asked
        if began[key] != asked[key] and key not in _FREE
    ]
    if differing:
        raise ConfigError(
            f"{config.output} holds a run of another configuration; take that one, or choose another --output:\n"
            + "\n".join(differing)
        )


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Values by dotted key."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
