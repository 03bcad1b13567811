"""Reading a card of the current or an older format: the one place that knows the older formats."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cmaen.checkpoints.card import FORMAT, Card
from cmaen.checkpoints.metrics import Figures, Measured, Metrics, TemperatureFit
from cmaen.checkpoints.provenance import Provenance
from cmaen.checkpoints.values import are_objects, require_plain, shorten
from cmaen.errors import CheckpointError
from cmaen.types import EMOTIONS, FER2013, OWN, PERCEIVED

LARGEST = 1 << 22
"""Maximum size of a document in bytes."""
_BAD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
_OF_FILE = re.compile(r"(.+), (onnx|openvino) in (\w+)", re.DOTALL)
"""The key of an exported file's figures in formats 1 and 2: ``PublicTest, onnx in int8``."""


class Root(NamedTuple):
    """The content of ``card.json``; provenance and metrics are ``None``, except before format 3."""

    card: Card
    provenance: Provenance | None = None
    metrics: Metrics | None = None


def read_root(path: Path) -> Root:
    """Read ``card.json`` of any format.

    Raises:
        CheckpointError: The file is not a card of this project, or belongs to a newer version.
        OSError: The file cannot be read.
    """
    values = parse(path, read_bytes(path), "a card of this project")
    try:
        if values["format"] not in range(1, FORMAT + 1) or isinstance(values["format"], bool | float):
            raise CheckpointError(
                f"{path} has format {shorten(values['format'])}; this version reads up to {FORMAT}; update cmaen"
            )
        return Root(Card.from_dict(values)) if values["format"] == FORMAT else _upgrade(values)
    except _BAD as error:
        raise _refuse(path, "a card of this project", error) from error


def read_provenance(path: Path, content: bytes) -> Provenance:
    """Parse the content of ``provenance.json``; a ``CheckpointError`` says what is wrong."""
    try:
        return Provenance.from_dict(parse(path, content, "a provenance of this project"))
    except _BAD as error:
        raise _refuse(path, "a provenance of this project", error) from error


def read_metrics(path: Path, content: bytes) -> Metrics:
    """Parse the content of ``metrics.json``; a ``CheckpointError`` says what is wrong."""
    try:
        return Metrics.from_dict(parse(path, content, "metrics of this project"))
    except _BAD as error:
        raise _refuse(path, "metrics of this project", error) from error


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """Read a document of limited size, by default that of a text.

    Raises:
        CheckpointError: The path is not a file (a pipe, for example), or the file is too large.
        OSError: The file cannot be read.
    """
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} cannot be read: it is not a file")
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise CheckpointError(f"{path} cannot be read: it is larger than {largest:,} bytes")
    return content


def parse(path: Path, content: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object of plain values.

    Args:
        path: Path of the file, for the message.
        content: Content of the file, UTF-8.
        what: Kind of object expected, for the message.

    Raises:
        CheckpointError: The content is something else.
    """
    try:
        values = json.loads(content.decode("utf-8"))
        require_plain(values)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is not {what}: it holds {shorten(values)}")
    return values


def _refuse(path: Path, what: str, error: Exception) -> CheckpointError:
    reason = error if isinstance(error, ValueError) else repr(error)
    return CheckpointError(f"{path} is not {what}: {reason}")


def _upgrade(values: dict[str, Any]) -> Root:
    """Convert a card of format 1 or 2, which held everything."""
    if values["format"] == 1:  # one scheme, written without its name
        labels, temperature = values.pop("labels"), values.pop("temperature")
        name = FER2013 if labels == list(EMOTIONS) else OWN
        values["schemes"] = {name: {"labels": labels, "temperature": temperature}}
    training, metrics = values.pop("training", {}), values.pop("metrics", {})
    card = Card.from_dict({**values, "format": FORMAT})
    return Root(card, Provenance.from_dict(training), _upgrade_metrics(metrics, card))


def _upgrade_metrics(values: Mapping[str, Any], card: Card) -> Metrics:
    """Convert figures whose keys name a split and a file; all but those of splits and calibrations are dropped."""
    if not are_objects(values):
        raise ValueError("metrics must hold objects by the name of a split")
    metrics = Metrics()
    for key, figures in values.items():
        if key == "calibration":
            metrics = metrics.with_calibration(_upgrade_calibration(figures, card))
        elif "accuracy" in figures:
            of_file = _OF_FILE.fullmatch(key)
            split, engine, precision = of_file.groups() if of_file else (key, "torch", "fp32")
            first, *_ = card.schemes
            schemes = {first: figures} | ({PERCEIVED: figures[PERCEIVED]} if PERCEIVED in figures else {})
            measured = Measured(precision, {name: Figures.from_dict(part) for name, part in schemes.items()})
            metrics = metrics.add(split, engine, measured)
    return metrics


def _upgrade_calibration(figures: Mapping[str, Any], card: Card) -> dict[str, TemperatureFit]:
    if "faces" not in figures:  # format 2: by scheme
        return {name: TemperatureFit.from_dict(part) for name, part in figures.items() if name in card.schemes}
    first, *_ = card.schemes  # format 1: all figures belong to the only scheme, whose temperature is on the card
    ece = {key: figures[key]["ece_equal_mass"] for key in ("before", "cross_fitted")}
    return {first: TemperatureFit.from_dict({**figures, **ece, "temperature": card.schemes[first].temperature})}
