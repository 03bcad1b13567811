"""The card that travels with every checkpoint: all that a predictor has to know, and where the weights come from.

A checkpoint is a folder: ``card.json``, and the weights as ``model.safetensors`` (to train on), ``model.onnx`` or
``model.xml`` with ``model.bin`` (to predict with ONNX Runtime or OpenVINO), or several of them; and
``history.csv``, how its training went (:mod:`cmaen.history`).
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from cmaen.cardvalues import require_plain, require_values
from cmaen.errors import CheckpointError, ConfigError, OutputError
from cmaen.files import sha256, write_text
from cmaen.folders import settle
from cmaen.preprocessing import CropSpec, PreprocessSpec
from cmaen.types import CONTEMPT, EMOTIONS, FER2013, OWN, PERCEIVED

CARD = "card.json"
ONNX = "model.onnx"
OPENVINO = "model.xml"
SAFETENSORS = "model.safetensors"
FILES = {"onnx": (ONNX,), "openvino": (OPENVINO, "model.bin"), "torch": (SAFETENSORS,)}
"""The files that each engine reads."""
FORMAT = 2
_LARGEST = 1 << 22
"""Characters of a card."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One label scheme of a network: what its answers mean.

    Attributes:
        labels: In the order of the logits.
        temperature: The logits are divided by it before the softmax that gives the probabilities; above 0.
        confidence_temperature: The same for the confidence, which says how often the answer is right; ``None``: that of
            the probabilities. Under ``perceived`` the two differ: when 70 % of people see anger in a face, that most
            of them do is nearly certain.
    """

    labels: tuple[str, ...]
    temperature: float = 1.0
    confidence_temperature: float | None = None

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels) or not all(map(_is_name, self.labels)):
            raise ValueError(f"the labels are {self.labels}; they must be two or more different names")
        for temperature in (self.temperature, self.confidence_temperature):
            if temperature is not None and not temperature > 0:
                raise ValueError(f"the temperature is {temperature}; it must be above 0")

    @property
    def sharpening(self) -> float:
        """The power that makes probabilities ones whose largest is the confidence."""
        return 1.0 if self.confidence_temperature is None else self.temperature / self.confidence_temperature


@dataclass(frozen=True)
class Card:
    """What ``card.json`` holds.

    Attributes:
        name: Of the model.
        architecture: Arguments of :func:`cmaen.models.build.build_cmaen`, but for files: a card never names one.
        preprocess: From a face crop to the input.
        crop: From a detected face to the crop.
        schemes: The label schemes by name, see :data:`cmaen.types.FER2013`. The first is that of the data set's labels;
            ``perceived`` may follow.
        enhancement: Steps that the training images went through, in order, each with its weights' SHA-256 cut short.
        training: Data, splits, extra labels, pretraining, seed, versions.
        metrics: Figures of the weights in float32 by the name of the split, and of each exported file that was measured
            on all of it by :func:`figures_of`, like ``PublicTest, onnx in int8``.
        cost: Of the network: ``parameters``, and ``flops`` for one face (a multiplication and an addition are two).
        licence: What the weights may be used for; it goes on to what is trained from them, averaged or exported.
        precision: That an engine's files were exported in, by the name of the engine.
        sha256: Of each weights file beside the card, by file name.
        format: Version of this layout.
    """

    name: str
    architecture: dict[str, Any]
    preprocess: PreprocessSpec
    crop: CropSpec = field(default_factory=CropSpec)
    schemes: dict[str, Scheme] = field(default_factory=lambda: {FER2013: Scheme(EMOTIONS)})
    enhancement: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, int] = field(default_factory=dict)
    licence: str = ""
    precision: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the first scheme, which the data set's labels are compared with."""
        return next(iter(self.schemes.values())).labels

    @property
    def accuracies(self) -> dict[str, float]:
        """By scheme: how often it is right on the validation split, as ``metrics`` has it.

        The figures of the ONNX file, which predicts, come before those of the trained weights.
        """
        found: dict[str, float] = {}
        for key in sorted(self.metrics, key=lambda key: ", onnx in " not in key):
            figures = self.metrics[key]
            if "accuracy" not in figures:
                continue  # not of a split
            for scheme in self.schemes:
                of_scheme = figures.get(PERCEIVED, {}) if scheme == PERCEIVED else figures
                if "accuracy" in of_scheme:
                    found.setdefault(scheme, of_scheme["accuracy"])
        return found

    @property
    def outputs(self) -> dict[str, int]:
        """How many logits each scheme has, as arguments of :func:`cmaen.models.build.build_cmaen`."""
        perceived = self.schemes.get(PERCEIVED)
        return {"classes": len(self.labels), "perceived": len(perceived.labels) if perceived else 0}

    def resolve_scheme(self, name: str | None) -> str:
        """The scheme to answer with.

        Args:
            name: The one that is asked for; ``None``: ``perceived`` where the checkpoint has it, else its only one.

        Raises:
            ConfigError: The checkpoint does not have it.
        """
        if name is None:
            return list(self.schemes)[-1]
        if name not in self.schemes:
            raise ConfigError(f"{self.name} has no label scheme {name!r}; it has {' and '.join(self.schemes)}")
        return name

    def answered(self, scheme: str, contempt: bool = False) -> Scheme:
        """What is answered under a scheme: all of its labels, or those of ``perceived`` without contempt.

        Args:
            scheme: That the checkpoint has.
            contempt: Keep contempt among the answers.

        Raises:
            ConfigError: Contempt is asked for, and the scheme does not know it.
        """
        whole = self.schemes[scheme]
        if contempt and CONTEMPT not in whole.labels:
            raise ConfigError(f"the label scheme {scheme} has no contempt; {PERCEIVED} has, where a checkpoint has it")
        return whole if contempt or scheme != PERCEIVED else replace(whole, labels=whole.labels[: len(EMOTIONS)])

    def with_temperature(self, scheme: str, temperature: float, confidence_temperature: float | None = None) -> Card:
        """The same card with other temperatures for one of its schemes."""
        changed = Scheme(self.schemes[scheme].labels, temperature, confidence_temperature)
        return replace(self, schemes={**self.schemes, scheme: changed})

    def uncalibrated(self) -> Card:
        """The same card with all temperatures at 1."""
        return replace(self, schemes={name: Scheme(scheme.labels) for name, scheme in self.schemes.items()})

    def differing(self, architecture: Mapping[str, Any]) -> list[str]:
        """The keys that another architecture has otherwise; what this card is too old to name is not compared."""
        own = {"wiring": "paper"} | self.architecture  # the first cards do not say so
        return sorted(key for key, value in architecture.items() if key in own and own[key] != value)

    def write(self, folder: Path) -> None:
        """Write ``card.json`` into a checkpoint's folder, whole or not at all."""
        write_text(folder / CARD, json.dumps(asdict(self), indent=2) + "\n")


def read_card(checkpoint: Path) -> Card:
    """The card of a checkpoint, after a change of the checkpoint that was interrupted is finished.

    Every value is looked at: what a card of this project cannot hold is an error here, and nowhere later.

    Args:
        checkpoint: Its folder, or any file in it.

    Raises:
        CheckpointError: There is no card, or it cannot be used.
    """
    folder = folder_of(checkpoint)
    path = folder / CARD
    try:
        settle(folder)
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path} cannot be read: it is not a file")
        with path.open(encoding="utf-8") as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise CheckpointError(f"{path} is not a card of this project: it is larger than {_LARGEST:,} characters")
        values = json.loads(text)
        require_plain(values)
    except FileNotFoundError as error:
        raise CheckpointError(f"{checkpoint} is no checkpoint: there is no {path}") from error
    except OutputError as error:
        raise CheckpointError(str(error)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    try:
        if values["format"] not in (1, FORMAT):
            raise CheckpointError(f"{path} has format {values['format']}, this version reads {FORMAT}; update cmaen")
        if values["format"] == 1:  # one scheme, written without its name
            labels, temperature = values.pop("labels"), values.pop("temperature")
            name = FER2013 if labels == list(EMOTIONS) else OWN
            values |= {"format": FORMAT, "schemes": {name: {"labels": labels, "temperature": temperature}}}
        require_values(values)
        values["preprocess"] = PreprocessSpec.from_dict(values["preprocess"])
        values["crop"] = CropSpec.from_dict(values["crop"])
        values["schemes"] = {
            name: Scheme(tuple(scheme["labels"]), scheme["temperature"], scheme.get("confidence_temperature"))
            for name, scheme in values["schemes"].items()
        }
        return Card(**{**values, "enhancement": tuple(values["enhancement"])})
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        reason = error if isinstance(error, ValueError) else repr(error)
        raise CheckpointError(f"{path} is not a card of this project: {reason}") from error


def _is_name(label: object) -> bool:
    return isinstance(label, str) and bool(label.strip())


def verified(checkpoint: Path, engine: str) -> Path:
    """The path of an engine's first file in a checkpoint, after a look at the checksums of all of them.

    Raises:
        CheckpointError: The file is missing, or differs from what the card says.
    """
    folder = folder_of(checkpoint)
    card = read_card(folder)
    for name in FILES[engine]:
        try:
            if (folder / name).exists() and not (folder / name).is_file():
                raise OSError(errno.EINVAL, "it is not a file")
            found = sha256(folder / name)
        except OSError as error:
            raise CheckpointError(f"{folder} has no readable {name}: {error.strerror}") from error
        if card.sha256.get(name) != found:
            raise CheckpointError(
                f"{folder / name} is corrupt or of another checkpoint: its SHA-256 is not the one in {CARD}"
            )
    return folder / FILES[engine][0]


def figures_of(split: str, engine: str, precision: str) -> str:
    """The key of an exported file's figures in a card's metrics."""
    return f"{split}, {engine} in {precision}"


def described(name: str, training: Mapping[str, Any]) -> str:
    """A network by its name and what tells it from others of that name, or by its parts where it is an average.

    Args:
        name: In its card.
        training: The same.
    """
    if parts := training.get("averaged"):
        return " + ".join(f"{part['share']:.3g} × {described(part['name'], part['training'])}" for part in parts)
    told = [f"seed {training['seed']}"] if training.get("seed") is not None else []
    if revision := training.get("revision"):
        commit, *changed = revision.split("-")
        told.append(f"revision {'-'.join([commit[:7], *changed])}")
    return f"{name} ({', '.join(told)})" if told else name


def folder_of(checkpoint: Path) -> Path:
    """The folder of a checkpoint that may be named by one of its files."""
    return checkpoint if checkpoint.is_dir() else checkpoint.parent


def shipped_checkpoint() -> Path:
    """The folder of the weights that come with the package."""
    return Path(str(files("cmaen") / "weights"))
