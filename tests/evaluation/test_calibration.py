from __future__ import annotations

import numpy as np
import pytest

from cmaen.engines import probabilities
from cmaen.evaluation.calibration import (
    BELIEF,
    calibration,
    calibration_by_chance,
    cross_fit,
    fit_temperature,
    reliability,
)


@pytest.fixture(scope="module")
def honest() -> tuple[np.ndarray, np.ndarray]:
    """Draw labels from the softmax of logits, which is therefore the truth."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (6000, 7)).astype(np.float32)
    labels = np.array([rng.choice(7, p=row) for row in probabilities(logits)])
    return labels, logits


def test_errors_against_torchmetrics(honest: tuple[np.ndarray, np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    labels, logits = honest
    answers = probabilities(logits, 0.5)
    expected = functional.multiclass_calibration_error(
        torch.from_numpy(answers), torch.from_numpy(labels), 7, n_bins=15
    )
    found = calibration(labels, answers)
    assert found.ece_equal_width == pytest.approx(expected.item(), abs=1e-6)
    assert found.nll == pytest.approx(
        torch.nn.functional.nll_loss(torch.from_numpy(answers).log(), torch.from_numpy(labels)).item()
    )


def test_errors_against_scikit_learn(honest: tuple[np.ndarray, np.ndarray]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    labels, logits = honest
    answers = probabilities(logits)
    found = calibration(labels, answers)
    brier = sum(metrics.brier_score_loss(labels == emotion, answers[:, emotion]) for emotion in range(7))
    assert found.brier == pytest.approx(brier)
    assert found.nll == pytest.approx(metrics.log_loss(labels, answers))


def test_equal_mass_by_hand() -> None:
    answers = np.zeros((4, 7))
    answers[:, 0] = [0.6, 0.7, 0.8, 0.9]
    answers[:, 1] = 1 - answers[:, 0]
    diagram = reliability(np.array([0, 1, 0, 0]), answers, "equal_mass", bins=2)
    assert diagram.confidence.tolist() == pytest.approx([0.65, 0.85])
    assert diagram.accuracy.tolist() == [0.5, 1.0]
    assert diagram.expected_error == pytest.approx(0.5 * 0.15 + 0.5 * 0.15)


def test_the_true_temperature_is_found(honest: tuple[np.ndarray, np.ndarray]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    labels, logits = honest
    for factor in (0.3, 1.0, 4.0):
        scaled = logits * np.float32(factor)
        fitted = fit_temperature(labels, scaled)
        assert fitted == pytest.approx(factor, rel=0.06)
        best = optimize.minimize_scalar(
            lambda temperature, scaled=scaled: calibration(labels, probabilities(scaled, temperature)).nll,
            bounds=(0.05, 20),
            method="bounded",
        )
        assert fitted == pytest.approx(best.x, rel=1e-3)


def test_a_temperature_has_bounds() -> None:
    logits = np.eye(7, dtype=np.float32)
    assert fit_temperature(np.arange(7), logits) == pytest.approx(1 / 20, rel=1e-3)  # always right: no doubt at all
    assert fit_temperature(np.roll(np.arange(7), 1), logits) == pytest.approx(20, rel=1e-3)


def test_cross_fitting_mends_what_did_not_fit_it(honest: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = honest
    overconfident = logits * np.float32(3)
    before = calibration(labels, probabilities(overconfident))
    after = calibration(labels, cross_fit(labels, overconfident))
    assert before.ece_equal_mass > 0.1
    assert after.ece_equal_mass < 0.02
    assert np.array_equal(cross_fit(labels, overconfident).argmax(axis=1), logits.argmax(axis=1))


def test_exact_probabilities_show_what_chance_makes_and_others_more(honest: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = honest
    chance = calibration_by_chance(probabilities(logits), np.random.default_rng(1))
    exact = calibration(labels, probabilities(logits))
    assert chance.ece_equal_mass == pytest.approx(np.sqrt(2 / np.pi * 0.24 * 15 / 6000), abs=0.003)  # 400 faces a bin
    assert exact.ece_equal_mass == pytest.approx(chance.ece_equal_mass, abs=0.01)
    assert exact.nll == pytest.approx(chance.nll, abs=0.03)
    assert exact.mean_confidence == pytest.approx(chance.mean_confidence)
    assert calibration(labels, probabilities(logits, 0.7)).ece_equal_mass > 3 * chance.ece_equal_mass
    few = calibration_by_chance(probabilities(logits)[:300], np.random.default_rng(1))
    assert few.ece_equal_mass > 3 * chance.ece_equal_mass


@pytest.mark.parametrize("count", [1, 5, 20, 60])
def test_a_few_right_answers_make_no_network_certain(count: int) -> None:
    logits = np.random.default_rng(0).normal(0, 1, (count, 7)).astype(np.float32)
    right = logits.argmax(axis=1)
    assert fit_temperature(right, logits) == pytest.approx(1 / 20, rel=1e-2)
    fitted = fit_temperature(right, logits, belief=BELIEF)
    assert 0.15 < fitted < 1
    assert fit_temperature(right, logits[:, ::-1], belief=BELIEF) < 20
    assert fit_temperature(right[:0], logits[:0]) == 1


def test_of_thousands_of_faces_the_belief_changes_nothing(honest: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = honest
    for factor in (0.3, 1.0, 4.0):
        scaled = logits * np.float32(factor)
        assert fit_temperature(labels, scaled, belief=BELIEF) == pytest.approx(
            fit_temperature(labels, scaled), rel=0.01
        )
