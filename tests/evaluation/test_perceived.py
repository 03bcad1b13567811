from __future__ import annotations

import json

import numpy as np
import pytest

from cmaen.data.ferplus import majority, perceived_distribution
from cmaen.errors import DataError
from cmaen.evaluation.calibration import fit_temperature
from cmaen.evaluation.perceived import assess_perceived, compare_shares
from tests.data.test_ferplus import voted

FACES = voted(
    {"happiness": 9, "neutral": 1},
    {"contempt": 6, "neutral": 4},
    {"unknown": 9, "anger": 1},
    {"sadness": 5, "neutral": 4, "fear": 1},
)


def test_the_annotators_themselves_are_right_and_calibrated() -> None:
    found = assess_perceived(FACES, perceived_distribution(FACES).astype(float))
    assert (found.majority.count, found.majority.accuracy) == (3, 1.0)
    assert (found.agreed_count, found.agreed_accuracy) == (2, 1.0)
    assert found.shares.error == pytest.approx(0)
    assert found.divergence == pytest.approx(0)
    assert found.calibration.mean_confidence == pytest.approx((0.9 + 0.6 + 0.5) / 3)
    assert json.loads(json.dumps(found.to_dict()))["share_error"] == pytest.approx(0)


def test_the_confidence_of_each_face_is_sharpened() -> None:
    people = perceived_distribution(FACES).astype(float)
    powers = np.array([1.0, 0.0, 9.0, 1.0])
    found = assess_perceived(FACES, people, sharpening=powers)
    assert found.calibration.mean_confidence == pytest.approx((0.9 + 1 / 8 + 0.5) / 3)
    assert found.shares.error == pytest.approx(0)


def test_a_network_without_contempt_is_wrong_where_it_is_seen() -> None:
    answers = perceived_distribution(FACES).astype(float)[:, :7] + 1e-9
    answers /= answers.sum(axis=1, keepdims=True)
    found = assess_perceived(FACES, answers)
    assert found.majority.accuracy == pytest.approx(2 / 3)
    assert found.majority.by_emotion["contempt"].recall == 0
    assert found.mistakes._asdict() == pytest.approx(  # neutral, seen by four of ten
        {"faces": 1, "majority_share": 0.6, "answer_share": 0.4, "second_choice": 1.0, "without_vote": 0.0}
    )


def test_mistakes_that_nobody_shares() -> None:
    answers = np.eye(8)[[2, 2, 2, 2]]
    found = assess_perceived(FACES, answers).mistakes
    assert (found.faces, found.without_vote, found.second_choice) == (3, pytest.approx(2 / 3), 0.0)
    assert found.answer_share == pytest.approx(0.1 / 3)


def test_without_a_majority_there_is_nothing_to_compare() -> None:
    with pytest.raises(DataError, match="no face has FER"):
        assess_perceived(voted({"NF": 10}, {}), np.full((2, 7), 1 / 7))


def test_an_overconfident_network_shows_in_the_shares_and_a_temperature_mends_it() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 8))
    people = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    sharp = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    assert compare_shares(people, people).error == pytest.approx(0)
    assert compare_shares(sharp, people).error > 0.2
    assert fit_temperature(people.astype(np.float32), (3 * logits).astype(np.float32)) == pytest.approx(3, abs=1e-3)
    assert compare_shares(sharp, people).weight.sum() == pytest.approx(1)


def test_soft_and_hard_targets_fit_alike() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(200, 8)).astype(np.float32), rng.integers(0, 8, 200)
    hard, soft = fit_temperature(labels, logits), fit_temperature(np.eye(8, dtype=np.float32)[labels], logits)
    assert hard == pytest.approx(soft)
    assert (majority(FACES) >= -1).all()
