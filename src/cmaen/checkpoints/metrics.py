"""``metrics.json``: the measured results of a checkpoint, by split, engine and label scheme."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cmaen.checkpoints.values import are_objects, is_integer, is_number, is_text, shorten

METRICS = "metrics.json"
PREFERRED = "onnx"
"""The default engine for prediction, whose figures are listed first."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one label scheme on labelled faces.

    Attributes:
        accuracy: Share of the faces that are classified correctly, in [0, 1].
        macro_f1: Mean F1 over the classes, in [0, 1]; ``None`` if it was not recorded.
        faces: Number of faces measured, which tells how certain the figures are; ``None`` if it was not recorded.
    """

    accuracy: float
    macro_f1: float | None = None
    faces: int | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Figures:
        """Build from JSON; a ``ValueError`` names what is wrong."""
        faces = values.get("faces")
        if not (faces is None or (isinstance(faces, int) and is_integer(faces) and is_number(faces, 1, 2**62))):
            raise ValueError(f"a number of faces is {shorten(faces)} and must be a whole number above 0")
        return cls(_share(values, "accuracy"), _share(values, "macro_f1", optional=True), faces)


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of an engine's weights on a split.

    Attributes:
        precision: Precision of the stored weights and the computation, see :data:`cmaen.export.PRECISIONS`.
        schemes: Figures by label scheme.
    """

    precision: str
    schemes: Mapping[str, Figures]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measured:
        """Build from JSON; a ``ValueError`` names what is wrong."""
        precision, schemes = values.get("precision"), values.get("schemes")
        if not isinstance(precision, str) or not is_text(precision):
            raise ValueError(f"a precision is {shorten(precision)} and must be a single line of text")
        return cls(precision, {name: Figures.from_dict(part) for name, part in _objects(schemes, "schemes").items()})


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """The result of fitting the temperatures of a label scheme.

    Attributes:
        temperature, confidence_temperature: See :class:`cmaen.checkpoints.card.Scheme`.
        faces: Number of faces they were fitted on.
        before, cross_fitted: ECE of the confidence in bins of equal mass, in [0, 1]: at temperature 1, and with each
            face at the temperature fitted on the others.
        share_error: Cross-fitted mean distance between the predicted and the annotators' shares under ``perceived``, in
            [0, 1]; otherwise ``None``.
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
        """Build from JSON; a ``ValueError`` names what is wrong."""
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
        """Return a plain dict, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class OnPhotographs:
    """The figures of one label scheme on whole photographs, in which faces are detected first.

    Attributes:
        name: Name of the set of photographs.
        count: Number of photographs.
        accuracy, mean_recall: Figures in [0, 1]; the recall is averaged over the emotions that have photographs.
    """

    name: str
    count: int
    accuracy: float
    mean_recall: float

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OnPhotographs:
        """Build from JSON; a ``ValueError`` names what is wrong."""
        name, count = values.get("name"), values.get("count")
        if not isinstance(name, str) or not is_text(name):
            raise ValueError(f"the name of the photographs is {shorten(name)} and must be a single line of text")
        if not isinstance(count, int) or not (is_integer(count) and is_number(count, 0, 2**62)):
            raise ValueError(f"a number of photographs is {shorten(count)} and must be a whole number")
        return cls(name, count, _share(values, "accuracy"), _share(values, "mean_recall"))


@dataclass(frozen=True)
class Metrics:
    """The measured results of a checkpoint.

    Attributes:
        splits: Figures by the name of the split, then by the engine: ``torch`` stands for the trained weights in
            float32.
        calibration: Fits of the temperatures, by label scheme.
        photographs: Figures on photographs, by label scheme.
    """

    splits: Mapping[str, Mapping[str, Measured]] = field(default_factory=dict)
    calibration: Mapping[str, TemperatureFit] = field(default_factory=dict)
    photographs: Mapping[str, OnPhotographs] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.splits or self.calibration or self.photographs)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metrics:
        """Build from JSON; values added by later versions are ignored.

        Raises:
            ValueError: A value is invalid.
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
        """Return a plain dict, ready for JSON; missing results are left out."""
        return {key: value for key, value in asdict(self, dict_factory=_drop_unknown).items() if value}

    def add(self, split: str, engine: str, figures: Measured) -> Metrics:
        """Return the metrics with the figures of an engine on a split, replacing older ones."""
        return self.merge(Metrics(splits={split: {engine: figures}}))

    def with_calibration(self, fits: Mapping[str, TemperatureFit]) -> Metrics:
        """Return the metrics with these fits of temperatures in place of all older ones."""
        return replace(self, calibration=dict(fits))

    def merge(self, other: Metrics) -> Metrics:
        """Merge two metrics; the other's figures take precedence."""
        splits = {split: dict(engines) for split, engines in self.splits.items()}
        for split, engines in other.splits.items():
            splits[split] = {**splits.get(split, {}), **engines}
        return Metrics(
            splits,
            other.calibration or self.calibration,
            {**self.photographs, **other.photographs},
        )

    def without_engine(self, engine: str) -> Metrics:
        """Return the metrics without the figures of an engine whose file is being rewritten."""
        kept = {
            split: {name: found for name, found in engines.items() if name != engine}
            for split, engines in self.splits.items()
        }
        return replace(self, splits={split: engines for split, engines in kept.items() if engines})

    def accuracies(self, schemes: Collection[str]) -> dict[str, float]:
        """Return the accuracy of each label scheme on a split; the default engine takes precedence.

        Args:
            schemes: The label schemes, in order.
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


def _drop_unknown(items: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Build the dict of a dataclass without ``faces`` if it was not recorded, so that older files stay as they are."""
    return {key: value for key, value in items if not (key == "faces" and value is None)}


def _share(values: Mapping[str, Any], key: str, *, optional: bool = False) -> Any:
    """Return a number from 0 to 1; ``None`` is allowed if it is optional."""
    value = values.get(key)
    if not (is_number(value, 0, 1) or (optional and value is None)):
        raise ValueError(f"{key} is {shorten(value)} and must be a number from 0 to 1")
    return value
