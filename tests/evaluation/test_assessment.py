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
from cmaen.evaluation.assessment import (
    ALL_FACES,
    COPIES,
    EXACT_OR_NEAR,
    Assessment,
    Headline,
    assess,
    measure_robustness,
    merge_copies,
    metrics_csv,
    predictions_csv,
)
from cmaen.evaluation.intervals import bootstrap
from cmaen.evaluation.metrics import measure
from cmaen.inference.doubts import LEAST_CLARITY
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
    values = json.loads(json.dumps(assessment.to_dict()))["headlines"]["half"]
    assert values["count"] == 70
    assert values["accuracy_interval"] == pytest.approx(half.accuracy_interval)
    happy = values["by_emotion"]["happy"]
    assert happy["recall_interval"][0] <= happy["recall"] <= happy["recall_interval"][1]


def test_the_interval_of_a_share_is_the_binomials() -> None:
    right = np.arange(400) < 280
    low, high = bootstrap(lambda rows: float(right[rows].mean()), 400, np.random.default_rng(0))
    spread = 1.96 * (0.7 * 0.3 / 400) ** 0.5
    assert (low, high) == pytest.approx((0.7 - spread, 0.7 + spread), abs=0.008)


def test_the_interval_of_the_macro_f1_is_its_bootstrap() -> None:
    faces, rng = face_set(), np.random.default_rng
    predictions = logits_for(faces).argmax(axis=1)
    expected = bootstrap(lambda rows: measure(faces.labels[rows], predictions[rows]).macro_f1, 140, rng(0))
    found = assess(faces, logits_for(faces), temperature=1.0, rng=rng(0)).headlines[ALL_FACES]
    assert found.macro_f1_interval == pytest.approx(expected)


def test_tables(assessment: Assessment) -> None:
    faces = face_set()
    rows = list(csv.DictReader(io.StringIO(predictions_csv(faces, probabilities(logits_for(faces))))))
    assert len(rows) == 140
    assert sum(float(rows[0][emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-5)
    table = list(csv.DictReader(io.StringIO(metrics_csv(assessment))))
    assert [row["set"] for row in table if row["emotion"] == "all"] == ["all faces", "half"]
    assert all(float(row["low"]) <= float(row["accuracy"] or row["recall"]) <= float(row["high"]) for row in table)


def headlines(*sizes: int, names: tuple[str, ...] = COPIES) -> dict[str, Headline]:
    """Of all faces, and of the first so many of them."""
    faces = face_set()
    subsets = {name: faces.select(np.arange(size)) for name, size in zip(names, sizes, strict=True)}
    rng = np.random.default_rng(0)
    return dict(assess(faces, logits_for(faces), temperature=1.0, rng=rng, subsets=subsets).headlines)


def test_sets_without_copies_are_merged_where_they_are_the_same() -> None:
    assert list(merge_copies(headlines(140, 140))) == [ALL_FACES]
    assert list(merge_copies(headlines(140, 130))) == [ALL_FACES, COPIES[1]]
    assert list(merge_copies(headlines(130, 130))) == [ALL_FACES, EXACT_OR_NEAR]
    assert list(merge_copies(headlines(130, 120))) == [ALL_FACES, *COPIES]  # type: ignore[arg-type]
    groups = headlines(140, 140, names=("age 20", "age 30"))
    assert list(merge_copies(groups)) == list(groups)


def test_of_few_faces_no_temperature_is_cross_fitted_and_nothing_is_said_twice(assessment: Assessment) -> None:
    assert list(assessment.told_calibration) == ["temperature 1", "as shipped", "chance alone"]
    faces = face_set(210)
    many = assess(faces, logits_for(faces), temperature=1.0, rng=np.random.default_rng(0))
    assert list(many.told_calibration) == ["as shipped", "cross-fitted", "chance alone"]
    assert list(many.calibration) == ["temperature 1", "as shipped", "cross-fitted", "chance alone"]


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


def test_the_confidence_of_faces_without_detail_falls() -> None:
    faces = face_set(20, votes=True)
    flat = faces.with_images(np.full_like(faces.images, 90))

    def sure(batch: np.ndarray) -> np.ndarray:
        return np.tile(2.0 * np.eye(7)[3], (len(batch), 1)).astype(np.float32)

    spec, rng = PreprocessSpec(image_size=48), np.random.default_rng(0)
    right = np.full(20, 3)
    for some, power in ((faces, 1.0), (flat, LEAST_CLARITY)):
        error = measure_robustness(some, spec, sure, rng, labels=right, clarity=True)["ece"]["rotation"][0]
        assert error == pytest.approx(6 / (6 + np.exp(2 * power)))
    plain = measure_robustness(flat, spec, sure, rng, labels=right)["ece"]["rotation"][0]
    assert plain == pytest.approx(6 / (6 + np.exp(2)))


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
