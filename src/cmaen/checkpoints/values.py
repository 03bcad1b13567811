"""Validation of the values in a checkpoint's documents, which may come from anybody."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from cmaen.types import PERCEIVED, PERCEIVED_LABELS

_DEEPEST = 64
"""Maximum nesting of lists and objects."""
_LARGEST_SIDE = 4096
_MOST_LABELS = 1000
_FILES = ("backbone_weights", "initial_weights", "side_weights", "trunk_weights")
"""Arguments of a network that are files."""


def require_plain(values: Any) -> None:
    """Refuse values that JSON allows but nothing else does: infinite numbers, lone surrogates, very deep nesting.

    Raises:
        ValueError: There is such a value.
    """
    waiting = [(values, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for part in (*value, *value.values())]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]
        elif isinstance(value, str):
            value.encode()  # UnicodeEncodeError is a ValueError
        elif isinstance(value, int | float) and not (math.isfinite(value) and abs(value) < 2**63):
            raise ValueError("a number in it is too large")


def require_card_values(values: Mapping[str, Any]) -> None:
    """Check each value of a card of the newest format.

    Args:
        values: Parsed JSON, see :func:`require_plain`.

    Raises:
        ValueError: A value is invalid; the message names its key.
    """
    for key, (allowed, wanted) in _VALUES.items():
        if key in values and not allowed(values[key]):
            raise ValueError(f"{key} is {shorten(values[key])} and must be {wanted}")
    named = [key for key in _FILES if key in values["architecture"]]
    if named:
        raise ValueError(f"architecture names a file, {named[0]}, which is not allowed in a card")
    _require_schemes(values["schemes"])


def _require_schemes(schemes: Mapping[str, Any]) -> None:
    for name, scheme in schemes.items():
        for key in ("temperature", "confidence_temperature"):
            value = scheme.get(key)
            if not (key == "confidence_temperature" and value is None) and not is_number(value, 1e-3, 1e3):
                raise ValueError(f"the {key} of the scheme {name} is {shorten(value)} and must be from 0.001 to 1000")
        if not _are_texts(scheme.get("labels")) or len(scheme["labels"]) > _MOST_LABELS:
            raise ValueError(f"the labels of the scheme {name} must be a list of at most {_MOST_LABELS} strings")
    first, *others = schemes
    if first == PERCEIVED or others not in ([], [PERCEIVED]):
        raise ValueError(
            f"the schemes are {shorten(list(schemes))}; there must be one, optionally followed by {PERCEIVED}"
        )
    if others and schemes[PERCEIVED]["labels"] != list(PERCEIVED_LABELS):
        raise ValueError(f"the labels of {PERCEIVED} must be {', '.join(PERCEIVED_LABELS)}")


def is_text(value: object) -> bool:
    """Whether a value is a single line of text."""
    return isinstance(value, str) and value.isprintable()


def is_name(value: object) -> bool:
    """Whether a value is a single line of text that is not blank."""
    return isinstance(value, str) and is_text(value) and bool(value.strip())


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_number(value: object, low: float, high: float) -> bool:
    """Whether a value is a number in a range, ends included."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def is_integer(value: object) -> bool:
    """Whether a value is an integer; booleans are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_side(value: object) -> bool:
    """Whether a value is a number of pixels."""
    return isinstance(value, int) and is_number(value, 1, _LARGEST_SIDE)


def is_object(value: object) -> bool:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_list_of_objects(value: object) -> bool:
    """Whether a value is a list of JSON objects."""
    return isinstance(value, list) and all(map(is_object, value))


def are_objects(value: object) -> bool:
    """Whether a value is a JSON object of objects."""
    return isinstance(value, dict) and all(map(is_object, value.values()))


def _maps_to_texts(value: object) -> bool:
    return isinstance(value, dict) and all(map(is_text, (*value, *value.values())))


def _is_preprocess(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    colours = [(value.get(key, [0.5] * 3), low) for key, low in (("mean", -1000.0), ("std", 1e-3))]
    return (
        _is_side(value.get("image_size", 1))
        and (value.get("source_size") is None or _is_side(value["source_size"]))
        and isinstance(value.get("grey", True), bool)
        and all(isinstance(of, list) and all(is_number(part, low, 1000) for part in of) for of, low in colours)
    )


def _is_crop(value: object) -> bool:
    return isinstance(value, dict) and all(
        is_number(value.get(key, 1), 0.01, 100) for key in ("margin", "landmark_margin")
    )


def _is_cost(value: object) -> bool:
    keys = {"parameters", "flops"}
    return value == {} or (
        isinstance(value, dict)
        and value.keys() == keys
        and all(isinstance(part, int) and is_number(part, 0, 2**63) for part in value.values())
    )


_VALUES: dict[str, tuple[Callable[[object], bool], str]] = {
    "name": (is_name, "a single line of text that is not blank"),
    "architecture": (is_object, "an object"),
    "preprocess": (_is_preprocess, f"a PreprocessSpec, with sides of 1 to {_LARGEST_SIDE} pixels"),
    "crop": (_is_crop, "a CropSpec, with margins from 0.01 to 100"),
    "schemes": (lambda value: are_objects(value) and bool(value), "one or two label schemes by name"),
    "enhancement": (_are_texts, "a list of strings"),
    "cost": (_is_cost, "empty, or hold whole numbers of parameters and flops"),
    "licence": (is_text, "a single line of text"),
    "precision": (_maps_to_texts, "strings by the name of an engine"),
    "sha256": (_maps_to_texts, "checksums by the name of a file"),
    "documents": (_maps_to_texts, "checksums by the name of a file"),
}


def shorten(value: object) -> str:
    """Shorten a value for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
