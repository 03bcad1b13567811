"""A card may come from anybody: whatever it says, it is usable or a named error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmaen.card import CARD, Card, Scheme, described, read_card, shipped_checkpoint
from cmaen.errors import CheckpointError
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import EMOTIONS, FER2013, PERCEIVED, PERCEIVED_LABELS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FULL = json.loads((shipped_checkpoint() / CARD).read_text(encoding="utf-8"))
SCHEMES = {
    FER2013: {"labels": list(EMOTIONS), "temperature": 1.0, "confidence_temperature": None},
    PERCEIVED: {"labels": list(PERCEIVED_LABELS), "temperature": 1.2, "confidence_temperature": 0.8},
}
NEWEST = {key: value for key, value in FULL.items() if key not in ("labels", "temperature")} | {
    "format": 2,
    "schemes": SCHEMES,
}


def places(values: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a card, at any depth."""
    found = [prefix] if prefix else []
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        found += places(value, (*prefix, key))
    return found


def with_value(values: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = json.loads(json.dumps(values))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def use(card: Card) -> None:
    """All that is asked of a card before its weights are read."""
    scheme = card.resolve_scheme(None)
    card.answered(scheme)
    assert card.answered(scheme).sharpening > 0
    assert set(card.accuracies) <= set(card.schemes)
    assert sum(card.outputs.values()) >= 2
    assert described(card.name, card.training).encode()
    card.uncalibrated()
    card.differing({"hidden": 8})
    json.dumps(card.metrics, allow_nan=False)
    assert card.preprocess.image_size * card.preprocess.side > 0
    assert not card.cost or card.cost["parameters"] / 1e6 + card.cost["flops"] >= 0
    assert all(len(name) >= 0 for name in (*card.enhancement, *card.sha256.values(), *card.precision.values()))


def read(folder: Path, text: str) -> Card | None:
    (folder / CARD).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        card = read_card(folder)
    except CheckpointError:
        return None
    use(card)
    return card


@pytest.mark.parametrize("values", [FULL, NEWEST], ids=["format 1", "format 2"])
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_a_card_or_a_named_error(values: dict, data: st.DataObject, tmp_path: Path) -> None:
    place = data.draw(st.sampled_from(places(values)))
    read(tmp_path, json.dumps(with_value(values, place, data.draw(JSON))))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=JSON)
def test_any_json_is_no_card(values: Any, tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(values)) is None


def test_a_card_that_is_cut_off_anywhere_is_named(tmp_path: Path) -> None:
    text = json.dumps(NEWEST)
    assert read(tmp_path, text) is not None
    for length in range(0, len(text), 37):
        assert read(tmp_path, text[:length]) is None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("architecture", "backbone_weights"), "/etc/passwd"),
        (("architecture", "backbone_weights"), None),
        (("preprocess", "image_size"), 10**9),
        (("preprocess", "image_size"), True),
        (("preprocess", "image_size"), 1.5),
        (("preprocess", "mean"), "abc"),
        (("preprocess", "std"), [0, 1, 1]),
        (("crop", "margin"), 1e300),
        (("crop", "margin"), "1"),
        (("schemes", FER2013, "labels"), "angry"),
        (("schemes", FER2013, "labels"), ["a", "b\x1b[31m"]),
        (("schemes", FER2013, "temperature"), 1e-300),
        (("schemes", FER2013, "temperature"), True),
        (("schemes", PERCEIVED, "labels"), list("abcdefgh")),
        (("schemes", "third"), {"labels": ["a", "b"], "temperature": 1}),
        (("metrics", "PublicTest"), 0.7),
        (("metrics", "PublicTest", "accuracy"), "high"),
        (("metrics", "PublicTest", PERCEIVED), 1),
        (("cost",), {"parameters": 1}),
        (("training", "revision"), 5),
        (("training", "averaged"), [{"name": "a"}]),
        (("name",), "two\nlines"),
        (("name",), "\ud800"),
        (("licence",), None),
        (("sha256",), ["model.onnx"]),
        (("enhancement",), "sharpened"),
        (("format",), [2]),
    ],
)
def test_absurd_values_are_named(place: tuple[str, ...], value: Any, tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(with_value(NEWEST, place, value))) is None


def test_nesting_numbers_and_size_have_an_end(tmp_path: Path) -> None:
    text = json.dumps(NEWEST)
    for evil in ("[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, "1e999", "NaN", "-Infinity", "9" * 5_000):
        assert read(tmp_path, text[:-1] + f', "training": {{"a": {evil}}}}}') is None
    assert read(tmp_path, text + " " * (1 << 22)) is None
    averaged: dict[str, Any] = {}
    for _ in range(40):
        averaged = {"averaged": [{"name": "a", "share": 1, "training": averaged}]}
    assert read(tmp_path, json.dumps(NEWEST | {"training": averaged})) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_pipe_in_place_of_a_file_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / CARD)
    with pytest.raises(CheckpointError, match="not a file"):
        read_card(tmp_path)


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    card = Card(
        "two schemes",
        {"hidden": 8},
        PreprocessSpec(source_size=None, grey=False),
        schemes={FER2013: Scheme(EMOTIONS, 1.5), PERCEIVED: Scheme(PERCEIVED_LABELS, 1.1, 0.9)},
        enhancement=("super-resolution 0123",),
        training={"averaged": [{"name": "a", "share": 0.5, "training": {"seed": 1, "revision": None}}]},
        metrics={"calibration": {"fer2013": {"faces": 3}}, "PublicTest": {"accuracy": 0.5, "macro_f1": 0.4}},
        cost={"parameters": 3, "flops": 4},
    )
    card.write(tmp_path)
    assert read_card(tmp_path) == card
