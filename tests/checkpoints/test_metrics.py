from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmaen.checkpoints import (
    METRICS,
    PROVENANCE,
    Card,
    Checkpoint,
    Documents,
    Figures,
    Measured,
    Metrics,
    OnPhotographs,
    Part,
    Provenance,
    TemperatureFit,
    list_models,
)
from cmaen.checkpoints.formats import read_metrics, read_provenance
from cmaen.errors import CheckpointError
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import FER2013, PERCEIVED
from tests.checkpoints.test_card import JSON, places, with_value

FULL = Metrics(
    {"PublicTest": {"torch": Measured("fp32", {FER2013: Figures(0.7, 0.6, 120)}), "onnx": Measured("int8", {})}},
    {FER2013: TemperatureFit(1.5, None, 40, 0.2, 0.1)},
    {PERCEIVED: OnPhotographs("LFW", 3, 0.9, 0.8)},
)
MADE = Provenance(
    3, "abcdefghij-dirty", "from nothing", (Part("a", 0.25, Provenance(1)),), {"data": "x.zip", "loss": {"focal": 1}}
)


def test_metrics_and_provenance_come_back(tmp_path: Path) -> None:
    assert Metrics.from_dict(json.loads(json.dumps(FULL.to_dict()))) == FULL
    assert Provenance.from_dict(json.loads(json.dumps(MADE.to_dict()))) == MADE
    Checkpoint.create(tmp_path, Documents(Card("a", {}, PreprocessSpec()), MADE, FULL), {})
    assert Checkpoint(tmp_path).documents.metrics == FULL
    assert Checkpoint(tmp_path).provenance == MADE


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_usable_or_named(data: st.DataObject) -> None:
    for whole, read in ((FULL.to_dict(), read_metrics), (MADE.to_dict(), read_provenance)):
        place = data.draw(st.sampled_from(places(whole)))
        text = json.dumps(with_value(whole, place, data.draw(JSON)))
        try:
            found = read(Path("file"), text.encode("utf-8", "surrogatepass"))
        except CheckpointError:
            continue
        json.dumps(found.to_dict(), allow_nan=False)
        if isinstance(found, Metrics):
            assert all(0 <= value <= 1 for value in found.accuracies([FER2013, PERCEIVED]).values())
        else:
            assert found.describe("a").encode()


def test_documents_that_are_cut_off_anywhere_are_named() -> None:
    for whole, read in ((FULL.to_dict(), read_metrics), (MADE.to_dict(), read_provenance)):
        text = json.dumps(whole).encode()
        for length in range(len(text)):
            with pytest.raises(CheckpointError):
                read(Path("file"), text[:length])


@pytest.mark.parametrize("name", [METRICS, PROVENANCE])
def test_a_damaged_document_is_named_and_a_missing_one_costs_nothing_else(name: str, tmp_path: Path) -> None:
    Checkpoint.create(tmp_path, Documents(Card("a", {}, PreprocessSpec()), MADE, FULL), {})
    text = (tmp_path / name).read_bytes()
    for damaged in (text + b" ", text[:-5], b""):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(CheckpointError, match="corrupt or belongs to another checkpoint"):
            assert Checkpoint(tmp_path).documents
        assert Checkpoint(tmp_path).card.name == "a"
    (tmp_path / name).write_bytes(text.replace(b"\n", b"\r\n"))  # git or a zip may write it so on Windows
    assert (Checkpoint(tmp_path).metrics, Checkpoint(tmp_path).provenance) == (FULL, MADE)
    (tmp_path / name).unlink()
    assert Checkpoint(tmp_path).accuracies == ({} if name == METRICS else {FER2013: 0.7})


def test_figures_of_before_do_not_tell_their_faces_and_absurd_numbers_of_them_are_named() -> None:
    assert Figures.from_dict({"accuracy": 0.7, "macro_f1": 0.6}) == Figures(0.7, 0.6, None)
    for faces in (0, -1, 2.5, True, "many", 2**70):
        with pytest.raises(ValueError, match="whole number above 0"):
            Figures.from_dict({"accuracy": 0.7, "faces": faces})


def test_the_file_that_predicts_comes_first() -> None:
    whole = Measured("fp32", {FER2013: Figures(0.7), PERCEIVED: Figures(0.8)})
    metrics = Metrics().add("PublicTest", "torch", whole)
    metrics = metrics.add("PublicTest", "onnx", Measured("int8", {FER2013: Figures(0.71)}))
    assert metrics.accuracies([FER2013, PERCEIVED]) == {FER2013: 0.71, PERCEIVED: 0.8}
    assert metrics.accuracies([PERCEIVED]) == {PERCEIVED: 0.8}
    assert metrics.without_engine("onnx") == Metrics().add("PublicTest", "torch", whole)
    assert not metrics.without_engine("onnx").without_engine("torch")


def test_networks_are_told_apart() -> None:
    assert Provenance(1, "0118345" + 33 * "f" + "-dirty").describe("a") == "a (seed 1, revision 0118345-dirty)"
    parts = (Part("a", 0.6, Provenance(1)), Part("b", 0.4, Provenance()))
    assert Provenance(averaged=parts).describe("mean") == "0.6 × a (seed 1) + 0.4 × b"


def test_the_models_that_ship_are_listed() -> None:
    shipped, small = list_models()
    assert shipped.name == "cmaen-m"
    assert shipped.schemes == (FER2013, PERCEIVED)
    assert shipped.accuracies == Checkpoint.open().accuracies
    assert shipped.photographs[PERCEIVED].count == 2740
    assert shipped.bytes == {"onnx": 5212191, "torch": 8322156}
    json.dumps(shipped.to_dict(), allow_nan=False)
    assert (small.name, small.schemes) == ("cmaen-s", shipped.schemes)
    assert small.bytes["onnx"] < 1.5e6
    assert small.parameters < 0.4 * shipped.parameters
