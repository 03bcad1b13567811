"""Cards may come from anybody: each is either usable or gives a named error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmaen.checkpoints import CARD, Card, Checkpoint, Figures, Measured, Scheme
from cmaen.errors import CheckpointError
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import EMOTIONS, FER2013, PERCEIVED, PERCEIVED_LABELS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
CARDS = Path(__file__).parent / "cards"
FORMAT_1, FORMAT_2 = (json.loads((CARDS / f"format-{number}.json").read_text(encoding="utf-8")) for number in (1, 2))
SCHEMES = {
    FER2013: {"labels": list(EMOTIONS), "temperature": 1.0, "confidence_temperature": None},
    PERCEIVED: {"labels": list(PERCEIVED_LABELS), "temperature": 1.2, "confidence_temperature": 0.8},
}
NEWEST = json.loads((Checkpoint.open().folder / CARD).read_text(encoding="utf-8")) | {"schemes": SCHEMES}


def places(values: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the places of all values in a card, at any depth."""
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


def use(checkpoint: Checkpoint) -> None:
    """Read everything in a checkpoint that is used before its weights."""
    card, accuracies = checkpoint.card, checkpoint.accuracies
    scheme = card.resolve_scheme(None)
    card.select_labels(scheme)
    assert card.select_labels(scheme).sharpening > 0
    assert set(accuracies) <= set(card.schemes)
    assert all(0 <= accuracy <= 1 for accuracy in accuracies.values())
    assert sum(card.outputs.values()) >= 2
    assert checkpoint.describe().encode()
    card.drop_calibration()
    json.dumps([checkpoint.metrics.to_dict(), checkpoint.provenance.to_dict()], allow_nan=False)
    assert card.preprocess.image_size * card.preprocess.side > 0
    assert not card.cost or card.cost["parameters"] / 1e6 + card.cost["flops"] >= 0
    assert all(len(name) >= 0 for name in (*card.enhancement, *card.sha256.values(), *card.precision.values()))


def read(folder: Path, text: str) -> Card | None:
    (folder / CARD).write_bytes(text.encode("utf-8", "surrogatepass"))
    checkpoint = Checkpoint(folder)
    try:
        card = checkpoint.card
    except CheckpointError:
        return None
    use(checkpoint)
    return card


@pytest.mark.parametrize("values", [FORMAT_1, FORMAT_2, NEWEST], ids=["format 1", "format 2", "format 3"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_a_card_or_a_named_error(values: dict, data: st.DataObject, tmp_path: Path) -> None:
    place = data.draw(st.sampled_from(places(values)))
    read(tmp_path, json.dumps(with_value(values, place, data.draw(JSON))))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=JSON)
def test_any_json_is_no_card(values: Any, tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(values)) is None


def test_a_card_that_is_cut_off_anywhere_is_named(tmp_path: Path) -> None:
    for values in (FORMAT_1, FORMAT_2, NEWEST):
        text = json.dumps(values)
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
        (("cost",), {"parameters": 1}),
        (("documents",), {"metrics.json": 3}),
        (("name",), ""),
        (("name",), " "),
        (("name",), "two\nlines"),
        (("name",), "\ud800"),
        (("licence",), None),
        (("sha256",), ["model.onnx"]),
        (("enhancement",), "sharpened"),
        (("format",), [2]),
        (("format",), 0),
        (("format",), True),
        (("training",), {}),
    ],
)
def test_absurd_values_are_named(place: tuple[str, ...], value: Any, tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(with_value(NEWEST, place, value))) is None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("metrics", "PublicTest"), 0.7),
        (("metrics", "PublicTest", "accuracy"), "high"),
        (("metrics", "PublicTest", PERCEIVED), 1),
        (("metrics", "calibration", FER2013), 1),
        (("metrics", "calibration", FER2013, "temperature"), 0),
        (("training", "revision"), 5),
        (("training", "seed"), 1.5),
        (("training", "averaged"), [{"name": "a"}]),
        (("training", "averaged"), [{"name": "a", "share": 2, "training": {}}]),
    ],
)
def test_absurd_values_of_older_cards_are_named(place: tuple[str, ...], value: Any, tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(FORMAT_2)) is not None
    assert read(tmp_path, json.dumps(with_value(FORMAT_2, place, value))) is None


def test_nesting_numbers_and_size_have_an_end(tmp_path: Path) -> None:
    text = json.dumps(NEWEST)
    for evil in ("[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, "1e999", "NaN", "-Infinity", "9" * 5_000):
        assert read(tmp_path, text[:-1] + f', "architecture": {{"a": {evil}}}}}') is None
    assert read(tmp_path, text + " " * (1 << 22)) is None
    averaged: dict[str, Any] = {}
    for _ in range(40):
        averaged = {"averaged": [{"name": "a", "share": 1, "training": averaged}]}
    assert read(tmp_path, json.dumps(FORMAT_2 | {"training": averaged})) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_pipe_in_place_of_a_file_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / CARD)
    with pytest.raises(CheckpointError, match="not a file"):
        assert Checkpoint.open(tmp_path).card


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    card = Card(
        "two schemes",
        {"hidden": 8},
        PreprocessSpec(source_size=None, grey=False),
        schemes={FER2013: Scheme(EMOTIONS, 1.5), PERCEIVED: Scheme(PERCEIVED_LABELS, 1.1, 0.9)},
        enhancement=("super-resolution 0123",),
        cost={"parameters": 3, "flops": 4},
    )
    (tmp_path / CARD).write_text(json.dumps(card.to_dict()))
    assert Checkpoint.open(tmp_path).card == card


def test_old_cards_say_what_they_said(tmp_path: Path) -> None:
    """Every figure of the formerly shipped cards is kept under its new name."""
    (tmp_path / CARD).write_text(json.dumps(FORMAT_2))
    new, old = Checkpoint(tmp_path), FORMAT_2["metrics"]
    assert new.metrics.splits == {
        "PublicTest": {
            "torch": Measured("fp32", {FER2013: Figures(**old["PublicTest"])}),
            "onnx": Measured(
                "int8",
                {
                    FER2013: Figures(old["PublicTest, onnx in int8"]["accuracy"], 0.715708690004993),
                    PERCEIVED: Figures(**old["PublicTest, onnx in int8"][PERCEIVED]),
                },
            ),
        }
    }
    assert {scheme: fit.to_dict() for scheme, fit in new.metrics.calibration.items()} == old["calibration"]
    assert new.provenance.to_dict() == FORMAT_2["training"]
    assert new.accuracies == {FER2013: 0.7300083588743382, PERCEIVED: 0.8556149732620321}
    assert new.describe() == "cmaen-m (seed 91, revision e8e582b)"
    (tmp_path / CARD).write_text(json.dumps(FORMAT_1))
    first, old = Checkpoint(tmp_path), FORMAT_1["metrics"]
    assert first.card.schemes == {FER2013: Scheme(EMOTIONS, FORMAT_1["temperature"])}
    fit = first.metrics.calibration[FER2013]
    assert (fit.temperature, fit.faces, fit.copies) == (FORMAT_1["temperature"], 3158, "without")
    assert fit.cross_fitted == old["calibration"]["cross_fitted"]["ece_equal_mass"]
    assert first.accuracies == {FER2013: old["PublicTest, onnx in int8"]["accuracy"]}
    assert first.describe() == "0.5 × cmaen-m (seed 71, revision 5d6ff6a) + 0.5 × cmaen-m (seed 72, revision 5d6ff6a)"


@pytest.mark.parametrize("values", [FORMAT_1, FORMAT_2], ids=["format 1", "format 2"])
def test_what_is_written_is_the_newest_format(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / CARD).write_text(json.dumps(values))
    before = Checkpoint(tmp_path).documents
    Checkpoint(tmp_path).amend(lambda now: now)
    after = Checkpoint(tmp_path).documents
    assert json.loads((tmp_path / CARD).read_text())["format"] == 3
    assert (after.provenance, after.metrics) == (before.provenance, before.metrics)
    assert after.card.without_files() == before.card.without_files()
    assert after.card.sha256 == before.card.sha256
