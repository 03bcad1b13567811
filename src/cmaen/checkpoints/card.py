"""``card.json``: all that prediction has to know of a checkpoint before its weights are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cmaen.checkpoints.values import require_card_values
from cmaen.errors import ConfigError
from cmaen.preprocessing import CropSpec, PreprocessSpec
from cmaen.types import CONTEMPT, EMOTIONS, FER2013, PERCEIVED

CARD = "card.json"
ONNX = "model.onnx"
OPENVINO = "model.xml"
SAFETENSORS = "model.safetensors"
FILES = {"onnx": (ONNX,), "openvino": (OPENVINO, "model.bin"), "torch": (SAFETENSORS,)}
"""The files that each engine reads."""
FORMAT = 3


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
        architecture: What :class:`cmaen.models.spec.ModelSpec` keeps of itself; a card never names a file.
        preprocess: From a face crop to the input.
        crop: From a detected face to the crop.
        schemes: The label schemes by name, see :data:`cmaen.types.FER2013`. The first is that of the data set's labels;
            ``perceived`` may follow.
        enhancement: Steps that the training images went through, in order, each with its weights' SHA-256 cut short.
        cost: Of the network: ``parameters``, and ``flops`` for one face (a multiplication and an addition are two).
        licence: What the weights may be used for; it goes on to what is trained from them, averaged or exported.
        precision: That an engine's files were exported in, by the name of the engine.
        sha256: Of each weights file beside the card, by file name.
        documents: SHA-256 of the other documents beside the card, by file name, with line ends of one character.
        format: Version of the layout of the folder.
    """

    name: str
    architecture: dict[str, Any]
    preprocess: PreprocessSpec
    crop: CropSpec = field(default_factory=CropSpec)
    schemes: dict[str, Scheme] = field(default_factory=lambda: {FER2013: Scheme(EMOTIONS)})
    enhancement: tuple[str, ...] = ()
    cost: dict[str, int] = field(default_factory=dict)
    licence: str = ""
    precision: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Card:
        """The card that came back from JSON, of the newest format; every value is looked at here, and nowhere later.

        Raises:
            ValueError, LookupError, TypeError: It is not a card of this project.
        """
        require_card_values(values)
        schemes = {
            name: Scheme(tuple(scheme["labels"]), scheme["temperature"], scheme.get("confidence_temperature"))
            for name, scheme in values["schemes"].items()
        }
        return cls(
            **{
                **values,
                "preprocess": PreprocessSpec.from_dict(values["preprocess"]),
                "crop": CropSpec.from_dict(values["crop"]),
                "schemes": schemes,
                "enhancement": tuple(values["enhancement"]),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return asdict(self)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the first scheme, which the data set's labels are compared with."""
        return next(iter(self.schemes.values())).labels

    @property
    def outputs(self) -> dict[str, int]:
        """How many logits each scheme has, as arguments of :func:`cmaen.models.build.build_network`."""
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

    def select_labels(self, scheme: str, contempt: bool = False) -> Scheme:
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

    def drop_calibration(self) -> Card:
        """The same card with all temperatures at 1."""
        return replace(self, schemes={name: Scheme(scheme.labels) for name, scheme in self.schemes.items()})

    def without_files(self) -> Card:
        """The network alone, without what tells of the files beside the card."""
        return replace(self, cost={}, precision={}, sha256={}, documents={})


def _is_name(label: object) -> bool:
    return isinstance(label, str) and bool(label.strip())
