"""``card.json``: everything that prediction must know about a checkpoint before its weights are read."""

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
FILES: dict[str, tuple[str, ...]] = {"onnx": (ONNX,), "openvino": (OPENVINO, "model.bin"), "torch": (SAFETENSORS,)}
"""The files that each engine reads."""
FORMAT = 3


@dataclass(frozen=True, slots=True)
class Scheme:
    """A label scheme of a network: the meaning of its outputs.

    Attributes:
        labels: Labels in the order of the logits.
        temperature: Divisor of the logits before the softmax that gives the probabilities; above 0.
        confidence_temperature: The same for the confidence, the probability that the answer is right; ``None``: that of
            the probabilities. Under ``perceived`` the two differ: when 70 % of people see anger in a face, it is nearly
            certain that most of them do.
    """

    labels: tuple[str, ...]
    temperature: float = 1.0
    confidence_temperature: float | None = None

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels) or not all(map(_is_name, self.labels)):
            raise ValueError(f"the labels are {self.labels}; there must be at least two different names")
        for temperature in (self.temperature, self.confidence_temperature):
            if temperature is not None and not temperature > 0:
                raise ValueError(f"the temperature is {temperature}; it must be above 0")

    @property
    def sharpening(self) -> float:
        """The exponent that turns the probabilities into ones whose largest is the confidence."""
        return 1.0 if self.confidence_temperature is None else self.temperature / self.confidence_temperature


@dataclass(frozen=True)
class Card:
    """The content of ``card.json``.

    Attributes:
        name: Name of the model.
        architecture: The values of :class:`cmaen.models.spec.ModelSpec`; a card never names a file.
        preprocess: Preprocessing from a face crop to the network's input.
        crop: Crop of a detected face.
        schemes: The label schemes by name, see :data:`cmaen.types.FER2013`. The first has the labels of the data set;
            ``perceived`` may follow.
        enhancement: Enhancement of the training images: what they were before it, such as ``faces 48-grey``, then its
            steps, in order, each with the shortened SHA-256 of its weights. Prediction enhances crops in the same way.
        cost: Cost of the network: ``parameters``, and ``flops`` for one face (a multiplication and an addition count as
            two).
        licence: Licence of the weights; it is passed on to weights that are trained, averaged or exported from them.
        precision: Precision in which each engine's files were exported, by the name of the engine.
        sha256: SHA-256 of each weights file beside the card, by file name.
        documents: SHA-256 of each other document beside the card, by file name; that of a text is computed with
            single-character line ends.
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
        """Build a card from JSON of the newest format; this is the one place where every value is checked.

        Raises:
            ValueError, LookupError, TypeError: The values are not a card of this project.
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
        """Return a plain dict, ready for JSON."""
        return asdict(self)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the first scheme, which must be those of the data set."""
        return next(iter(self.schemes.values())).labels

    @property
    def outputs(self) -> dict[str, int]:
        """The number of logits of each scheme, as arguments of :func:`cmaen.models.build.build_network`."""
        perceived = self.schemes.get(PERCEIVED)
        return {"classes": len(self.labels), "perceived": len(perceived.labels) if perceived else 0}

    def resolve_scheme(self, name: str | None) -> str:
        """Choose the scheme to answer with.

        Args:
            name: The requested scheme; ``None``: ``perceived`` if the checkpoint has it, else its only one.

        Raises:
            ConfigError: The checkpoint does not have it.
        """
        if name is None:
            return list(self.schemes)[-1]
        if name not in self.schemes:
            raise ConfigError(f"{self.name} has no label scheme {name!r}; it has {' and '.join(self.schemes)}")
        return name

    def select_labels(self, scheme: str, contempt: bool = False) -> Scheme:
        """Select the labels to answer with: all labels of a scheme, or those of ``perceived`` without contempt.

        Args:
            scheme: A scheme of the checkpoint.
            contempt: Whether to keep contempt among the answers.

        Raises:
            ConfigError: Contempt is requested, but the scheme does not have it.
        """
        whole = self.schemes[scheme]
        if contempt and CONTEMPT not in whole.labels:
            raise ConfigError(
                f"the label scheme {scheme} has no contempt; only {PERCEIVED} has, in checkpoints that have that scheme"
            )
        return whole if contempt or scheme != PERCEIVED else replace(whole, labels=whole.labels[: len(EMOTIONS)])

    def with_temperature(self, scheme: str, temperature: float, confidence_temperature: float | None = None) -> Card:
        """Return the card with other temperatures for one of its schemes."""
        changed = Scheme(self.schemes[scheme].labels, temperature, confidence_temperature)
        return replace(self, schemes={**self.schemes, scheme: changed})

    def drop_calibration(self) -> Card:
        """Return the card with all temperatures at 1."""
        return replace(self, schemes={name: Scheme(scheme.labels) for name, scheme in self.schemes.items()})

    def without_files(self) -> Card:
        """Return the card of the network alone, without the description of the files beside it."""
        return replace(self, cost={}, precision={}, sha256={}, documents={})


def _is_name(label: object) -> bool:
    return isinstance(label, str) and bool(label.strip())
