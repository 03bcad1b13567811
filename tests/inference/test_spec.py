from __future__ import annotations

import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.errors import CheckpointError, ConfigError, DetectorError, SettingError
from cmaen.inference.detectors import DetectorOptions
from cmaen.inference.predictor import EmotionPredictor
from cmaen.inference.spec import PipelineSpec
from cmaen.inference.tuning import Tuning
from cmaen.types import FaceBox
from tests.conftest import EXAMPLES

ASTRONAUT = EXAMPLES / "astronaut.png"
NUMBERS = ["threads", "workers", "batch_size", "threshold", "smoothing", "detect_every", "classify_every", "max_pixels"]
WRONG: dict[str, list[Any]] = {
    "threads": [0, -1, 1.5, "2", True],
    "workers": [0, float("nan")],
    "batch_size": [0, 2.5, None],
    "threshold": [-0.1, 1.1, float("nan"), "0.5", None],
    "smoothing": [-1, float("nan"), None],
    "detect_every": [-1],
    "classify_every": [-0.001],
    "max_pixels": [0, 0.5],
    "checkpoint": [3, b"folder"],
    "detector": [3, object()],
    "options": [None, {"min_face": 3}],
    "engine": [None],
    "device": [0],
    "scheme": [1],
    "contempt": ["yes", None],
    "throughput": [2],
}


def test_every_setting_has_a_range_a_meaning_and_a_wrong_value() -> None:
    names = {one.name for one in fields(PipelineSpec)}
    assert names == set(WRONG)
    said = str(Tuning.__doc__) + str(PipelineSpec.__doc__)
    assert all(f"{name}: " in said for name in names)
    assert all(hasattr(PipelineSpec, name) for name in names)  # the default, for whoever has to say it
    assert PipelineSpec() == PipelineSpec(**{name: getattr(PipelineSpec, name) for name in names})


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_value_out_of_its_range_is_named(name: str, value: object) -> None:
    with pytest.raises(SettingError, match=f"^{name} must be ") as caught:
        PipelineSpec(**{name: value})
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(sorted(WRONG))))
def test_all_wrong_values_are_reported_at_once(names: set[str]) -> None:
    values = {name: WRONG[name][0] for name in names}
    if not names:
        PipelineSpec()
        return
    with pytest.raises(SettingError) as caught:
        PipelineSpec(**values)
    assert {problem.split(" must be ")[0] for problem in str(caught.value).split("; ")} == names


def test_the_ends_of_the_ranges_are_right() -> None:
    for name in NUMBERS:
        allowed = PipelineSpec.range_of(name)
        for value in (allowed.low, allowed.high):
            if not (allowed.whole and value == float("inf")):
                kind = int if allowed.whole else float
                assert getattr(PipelineSpec(**{name: kind(value)}), name) == value
    assert PipelineSpec(batch_size=np.int64(3), threshold=np.float32(0.5)).batch_size == 3
    with pytest.raises(SettingError, match=r"max_side must .*; .*min_score must .*; .*min_face must "):
        DetectorOptions(max_side=3, min_score=2, min_face=-1)


def test_a_spec_travels_and_builds_the_same() -> None:
    spec = PipelineSpec(threads=1, workers=1, threshold=0.9999, scheme="fer2013", options=DetectorOptions(min_face=20))
    again = pickle.loads(pickle.dumps(spec))
    assert again == spec
    assert hash(again) == hash(spec)
    one, two = (EmotionPredictor.from_spec(each).predict_single(ASTRONAUT) for each in (spec, again))
    assert one == two
    assert (one["predicted_emotion"], one["scheme"]) == ("uncertain", "fer2013")


def test_what_the_spec_names_and_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        PipelineSpec(checkpoint=tmp_path).build()
    with pytest.raises(DetectorError):
        PipelineSpec(detector="eyes").build()
    with pytest.raises(ConfigError, match="not an engine"):
        PipelineSpec(engine="magic").build()


def test_one_idea_of_threads() -> None:
    latency = PipelineSpec(threads=3, workers=8)
    assert latency.share_threads() == (3, 3, None)
    assert PipelineSpec().share_threads() == (None, None, None)
    throughput = replace(latency, throughput=True)
    assert throughput.share_threads() == (3, 1, 1)
    assert replace(throughput, threads=None).share_threads() == (2, 1, 1)
    assert replace(throughput, threads=None, workers=2).share_threads() == (1, 1, 1)


def test_the_process_is_touched_for_throughput_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(cv2, "setNumThreads", calls.append)
    monkeypatch.setattr(cv2, "getNumThreads", lambda: 1)
    PipelineSpec(threads=1).build()
    assert calls == []
    PipelineSpec(throughput=True).build()
    assert calls == [1]


def test_a_pipeline_is_tuned_without_being_built_again() -> None:
    pipeline = PipelineSpec(threads=1, detector=None).build()
    assert pipeline.detector is None
    other = pipeline.tune(batch_size=3, smoothing=0)
    assert other.classifier is pipeline.classifier
    assert (other.tuning.batch_size, pipeline.tuning.batch_size) == (3, Tuning.batch_size)
    with pytest.raises(SettingError, match="batch_size"):
        pipeline.tune(batch_size=0)


def test_a_predictor_says_what_it_is(tmp_path: Path) -> None:
    predictor = EmotionPredictor(threads=1)
    assert repr(predictor) == "EmotionPredictor(checkpoint cmaen-m, engine onnx, scheme perceived, detector yunet)"
    assert "scheme fer2013" in repr(predictor.under("fer2013"))
    assert "scheme perceived with contempt" in repr(predictor.under(None, contempt=True))

    def find_nothing(image: np.ndarray) -> list[FaceBox]:
        return []

    mine = EmotionPredictor(detector=find_nothing, threads=1)
    assert "detector find_nothing" in repr(mine)
    assert mine.predict(ASTRONAUT).status == "no_face"
