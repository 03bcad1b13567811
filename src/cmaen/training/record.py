"""The record in a run's folder: a run is resumed as it began, and no other run can take its place."""

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
"""Keys that do not affect what is learnt: locations, and the permitted use of the weights. The rounding depends on the
device, so the device on which teachers answer stays the same, see :attr:`Record.answered_on`.
"""


@dataclass(frozen=True, slots=True)
class Sources:
    """Fingerprints of what a run learns from, independent of where it lies.

    Attributes:
        training, validation: Fingerprints of the faces.
        votes: Fingerprint of the FER+ votes; ``None`` without votes.
        teachers: Checksums of the teachers' weights; the last is that of the teacher of the unlabelled faces.
        unlabelled: Fingerprint of the unlabelled faces; ``None`` without them.
    """

    training: str
    validation: str
    votes: str | None
    teachers: tuple[str, ...]
    unlabelled: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """The facts about the beginning of a run that its configuration does not contain.

    Attributes:
        precision: Precision of the arithmetic; the configuration may say ``auto``.
        pretraining: Description of the origin of the initial weights.
        sources: Fingerprints of what is learnt from.
        licence: Licence of the initial weights, if the configuration names none.
        answered_on: Kind of device on which the teachers answered, because answers differ slightly between devices;
            empty in older runs.
    """

    precision: str
    pretraining: str | None
    sources: Sources
    licence: str = ""
    answered_on: str = ""

    def write(self, output: Path) -> None:
        """Write the record into the folder of the run."""
        write_text(output / RECORD, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, output: Path) -> Record:
        """Read the record of the run in a folder.

        Raises:
            CheckpointError: The record is missing or damaged.
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
            raise CheckpointError(f"{path} cannot be read, so the run cannot be resumed: {error!r}") from error

    def require(self, sources: Sources, output: Path) -> None:
        """Refuse to resume with data other than those with which the run in ``output`` began.

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
                f"{output} holds a run on other data; these differ: {', '.join(differing)}. Name the same data, "
                "or choose another --output"
            )


def require_same_configuration(config: Config) -> None:
    """Refuse a configuration that differs from that of the run in ``config.output``.

    Everything that affects what is learnt must be the same, including the number of epochs, which sets the schedule of
    the learning rate. Locations may differ: the output, the data, the votes, the teachers and their cache, the devices,
    nodes and device; so may the licence, which stays as it was.

    Raises:
        ConfigError: Keys differ (the message lists each with both values), or the folder's configuration cannot be
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
            f"{config.output} holds a run with another configuration; use that one, or choose another --output:\n"
            + "\n".join(differing)
        )


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values by dotted key."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
