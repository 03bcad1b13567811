"""``metrics.json``: what was measured of a checkpoint, by split, engine and label scheme."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cmaen.checkpoints.values import are_objects, is_integer, is_number, is_text, shorten

METRICS = "metrics.json"
PREFERRED = "onnx"
"""The engine that predicts by default, whose figures are told first."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one label scheme on labelled faces.

    Attributes:
        accuracy: Share of the faces that are answered right, in [0, 1].
        macro_f1: Mean F1 over the classes, in [0, 1]; ``None`` where it was not kept.
        faces: How many were measured, which tells how certain the figures are; ``None`` where it was not kept.
    """

    accuracy: float
    macro_f1: float | None = None
    faces: int | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Figures:
        """From JSON; a ``ValueError`` names what is wrong."""
        faces = values.get("faces")
        if not (faces is None or (isinstance(faces, int) and is_integer(faces) and is_number(faces, 1, 2**62))):
            raise ValueError(f"a number of faces is {shorten(faces)} and must be a whole number above 0")
        return cls(_share(values, "accuracy"), _share(values, "macro_f1", optional=True), faces)


@dataclass(frozen=True, slots=True)
class Measured:
    """Of an engine's weights on a split.

    Attributes:
        precision: That they were stored and computed in, see :data:`cmaen.export.PRECISIONS`.
        schemes: By label scheme.
    """

    precision: str
    schemes: Mapping[str, Figures]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measured:
        """From JSON; a ``ValueError`` names what is wrong."""
        precision, schemes = values.get("precision"), values.get("schemes")
        if not isinstance(precision, str) or not is_text(precision):
            raise ValueError(f"a precision is {shorten(precision)} and must be a text of one line")
        return cls(precision, {name: Figures.from_dict(part) for name, part in _objects(schemes, "schemes").items()})


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """How the temperatures of a label scheme were fitted.

    Attributes:
        temperature, confidence_temperature: See :class:`cmaen.checkpoints.card.Scheme`.
        faces: How many faces they were fitted on.
        before, cross_fitted: ECE of the confidence in bins of equal mass, in [0, 1]: at temperature 1, and with each
            face at the temperature that fits the others.
        share_error: Of ``perceived``, cross-fitted: mean distance between the predicted and the annotators' shares, in
            [0, 1]; else ``None``.
        copies: Whether the faces were ``with`` or ``without`` those that have copies in Training.
    """

    temperature: float
    confidence_temperature: float | None
    faces: int
    before: float
    cross_fitted: float
    share_error: float | None = None
    copies: str = "with"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TemperatureFit:
        """From JSON; a ``ValueError`` names what is wrong."""
        of_confidence, faces, copies = (values.get(key) for key in ("confidence_temperature", "faces", "copies"))
        for key, value in (("temperature", values.get("temperature")), ("confidence_temperature", of_confidence)):
            if not (is_number(value, 1e-3, 1e3) or (value is None and key == "confidence_temperature")):
                raise ValueError(f"a fitted {key} is {shorten(value)} and must be from 0.001 to 1000")
        if not (is_integer(faces) and is_number(faces, 0, 2**62)):
            raise ValueError(f"a number of faces is {shorten(faces)} and must be a whole number")
        if not (copies is None or is_text(copies)):
            raise ValueError(f"copies is {shorten(copies)} and must be with or without")
        return cls(
            values["temperature"],
            of_confidence,
            int(faces or 0),
            _share(values, "before"),
            _share(values, "cross_fitted"),
            _share(values, "share_error", optional=True),
            copies or "with",
        )

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class OnPhotographs:
    """Of one label scheme on whole photographs, in which the faces are found first.

    Attributes:
        name: Of the photographs.
        count: How many.
        accuracy, mean_recall: In [0, 1]; the recall is the mean over the emotions that have photographs.
    """

    name: str
    count: int
    accuracy: float
    mean_recall: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OnPhotographs:
        """From JSON; a ``ValueError`` names what is wrong."""
        name, count = values.get("name"), values.get("count")
        if not isinstance(name, str) or not is_text(name):
            raise ValueError(f"the name of the photographs is {shorten(name)} and must be a text of one line")
        if not isinstance(count, int) or not (is_integer(count) and is_number(count, 0, 2**62)):
            raise ValueError(f"a number of photographs is {shorten(count)} and must be a whole number")
        return cls(name, count, _share(values, "accuracy"), _share(values, "mean_recall"))


@dataclass(frozen=True)
class Metrics:
    """What was measured of a checkpoint.

    Attributes:
        splits: By the name of the split, then by the engine: ``torch`` is the trained weights in float32.
        calibration: How the temperatures were fitted, by label scheme.
        photographs: By label scheme.
    """

    splits: Mapping[str, Mapping[str, Measured]] = field(default_factory=dict)
    calibration: Mapping[str, TemperatureFit] = field(default_factory=dict)
    photographs: Mapping[str, OnPhotographs] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.splits or self.calibration or self.photographs)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metrics:
        """The metrics that came back from JSON; what a later version added is left out.

        Raises:
            ValueError: A value is not what it should be.
        """
        splits, calibration, photographs = (
            _objects(values.get(key, {}), key) for key in ("splits", "calibration", "photographs")
        )
        return cls(
            {
                split: {engine: Measured.from_dict(part) for engine, part in _objects(engines, split).items()}
                for split, engines in splits.items()
            },
            {scheme: TemperatureFit.from_dict(part) for scheme, part in calibration.items()},
            {scheme: OnPhotographs.from_dict(part) for scheme, part in photographs.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON; what was not measured is left out."""
        return {key: value for key, value in asdict(self).items() if value}

    def add(self, split: str, engine: str, figures: Measured) -> Metrics:
        """The same with the figures of an engine on a split, in place of older ones."""
        return self.merge(Metrics(splits={split: {engine: figures}}))

    def with_calibration(self, fits: Mapping[str, TemperatureFit]) -> Metrics:
        """The same with how temperatures were fitted, in place of all that was known of it."""
        return replace(self, calibration=dict(fits))

    def merge(self, other: Metrics) -> Metrics:
        """Both; where they tell of the same, the other's figures."""
        splits = {split: dict(engines) for split, engines in self.splits.items()}
        for split, engines in other.splits.items():
            splits[split] = {**splits.get(split, {}), **engines}
        return Metrics(
            splits,
            other.calibration or self.calibration,
            {**self.photographs, **other.photographs},
        )

    def without_engine(self, engine: str) -> Metrics:
        """The same without the figures of an engine, whose file is written anew."""
        kept = {
            split: {name: found for name, found in engines.items() if name != engine}
            for split, engines in self.splits.items()
        }
        return replace(self, splits={split: engines for split, engines in kept.items() if engines})

    def accuracies(self, schemes: Collection[str]) -> dict[str, float]:
        """How often each label scheme is right on a split; the engine that predicts comes before the others.

        Args:
            schemes: Those that are asked about, in order.
        """
        by_engine = [(engine, found) for engines in self.splits.values() for engine, found in engines.items()]
        by_engine.sort(key=lambda pair: pair[0] != PREFERRED)
        accuracies: dict[str, float] = {}
        for scheme in schemes:
            for _, found in by_engine:
                if scheme in found.schemes:
                    accuracies.setdefault(scheme, found.schemes[scheme].accuracy)
        return accuracies


def _objects(values: object, key: str) -> Mapping[str, Any]:
    if not isinstance(values, dict) or not are_objects(values):
        raise ValueError(f"{shorten(key)} must hold objects by name")
    return values


def _share(values: Mapping[str, Any], key: str, *, optional: bool = False) -> Any:
    """A number from 0 to 1; ``None`` is one where it is optional."""
    value = values.get(key)
    if not (is_number(value, 0, 1) or (optional and value is None)):
        raise ValueError(f"{key} is {shorten(value)} and must be a number from 0 to 1")
    return value
