from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from cmaen.data.ferplus import CATEGORIES
from cmaen.data.splits import FaceSet, Split
from cmaen.engines import probabilities
from cmaen.errors import DataError
from cmaen.evaluation.assessment import Assessment, assess, measure_robustness, metrics_csv, predictions_csv
from cmaen.evaluation.intervals import bootstrap
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import EMOTIONS


def face_set(count: int = 140, *, votes: bool = True) -> FaceSet:
    rng = np.random.default_rng(0)
    cast = np.zeros((count, len(CATEGORIES)), np.uint8)
    cast[:, CATEGORIES.index("neutral")] = 10
    return FaceSet(
        Split.VALIDATION,
        rng.integers(0, 256, (count, 48, 48), dtype=np.uint8),
        np.arange(count) % 7,
        tuple(f"{number}.png" for number in range(count)),
        votes=cast if votes else None,
    )


def logits_for(faces: FaceSet) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.normal(0, 1, (len(faces), 7)) + 1.5 * np.eye(7)[faces.labels]).astype(np.float32)


@pytest.fixture(scope="module")
def assessment() -> Assessment:
    faces = face_set()
    subset = faces.select(np.arange(70))
    rng = np.random.default_rng(0)
    return assess(faces, logits_for(faces), temperature=2.0, rng=rng, subsets={"half": subset})


def test_everything_is_there_and_fits_together(assessment: Assessment) -> None:
    official, half = assessment.headlines["all faces"], assessment.headlines["half"]
    assert (official.metrics.count, half.metrics.count) == (140, 70)
    assert official.accuracy_interval.low < official.metrics.accuracy < official.accuracy_interval.high
    assert official.macro_f1_interval.low < official.metrics.macro_f1 < official.macro_f1_interval.high
    assert half.accuracy_interval.high - half.accuracy_interval.low > 0.02
    assert assessment.auc.macro == pytest.approx(np.mean(list(assessment.auc_by_emotion.values())))
    assert list(assessment.average_precision_by_emotion) == list(EMOTIONS)
    assert assessment.calibration["as shipped"] != assessment.calibration["temperature 1"]
    assert assessment.agreement is not None
    assert assessment.agreement.annotators_entropy == 0
    assert json.loads(json.dumps(assessment.to_dict()))["headlines"]["half"]["count"] == 70


def test_the_interval_of_a_share_is_the_binomials() -> None:
    right = np.arange(400) < 280
    low, high = bootstrap(lambda rows: float(right[rows].mean()), 400, np.random.default_rng(0))
    spread = 1.96 * (0.7 * 0.3 / 400) ** 0.5
    assert (low, high) == pytest.approx((0.7 - spread, 0.7 + spread), abs=0.008)


def test_tables(assessment: Assessment) -> None:
    faces = face_set()
    rows = list(csv.DictReader(io.StringIO(predictions_csv(faces, probabilities(logits_for(faces))))))
    assert len(rows) == 140
    assert sum(float(rows[0][emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-5)
    table = list(csv.DictReader(io.StringIO(metrics_csv(assessment))))
    assert [row["set"] for row in table if row["emotion"] == "all"] == ["all faces", "half"]


def test_robustness_begins_with_the_faces_as_they_are() -> None:
    faces = face_set(21)

    def right_by_day(batch: np.ndarray) -> np.ndarray:
        bright = batch.mean(axis=(1, 2, 3)) > -1
        return (np.eye(7)[faces.labels] * np.where(bright, 1, -1)[:, None]).astype(np.float32)

    found = measure_robustness(faces, PreprocessSpec(image_size=48), right_by_day, np.random.default_rng(0))
    assert all(len(curve) == 6 and curve[0] == 1 for curve in found["accuracy"].values())
    assert found["accuracy"]["blur"][-1] == 1
    assert found["accuracy"]["low light"][-1] == 0
    confidence = np.e / (np.e + 6)
    assert found["ece"]["blur"][-1] == pytest.approx(1 - confidence)


def test_robustness_leaves_out_faces_without_an_answer() -> None:
    faces = face_set(21)
    seen = np.where(np.arange(21) < 7, -1, 3)

    def happy(batch: np.ndarray) -> np.ndarray:
        assert len(batch) == 14
        return np.tile(np.eye(8)[3], (len(batch), 1)).astype(np.float32)

    spec = PreprocessSpec(image_size=48)
    found = measure_robustness(faces, spec, happy, np.random.default_rng(0), labels=seen)
    assert found["accuracy"]["blur"] == [1.0] * 6


def test_faces_of_one_emotion_measure_nothing() -> None:
    faces = face_set()
    alike = faces.select(np.flatnonzero(faces.labels == 3))
    with pytest.raises(DataError, match="all faces are labelled happy"):
        assess(alike, logits_for(alike), temperature=1.0, rng=np.random.default_rng(0))
