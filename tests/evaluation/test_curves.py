from __future__ import annotations

import numpy as np
import pytest

from cmaen.evaluation.curves import (
    auc,
    average_precision,
    macro_precision_recall_curve,
    macro_roc_curve,
    one_hot,
    precision_recall_curve,
    roc_curve,
)

sklearn = pytest.importorskip("sklearn.metrics")


@pytest.fixture(scope="module")
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 3, 4, 5], 400)  # nobody is surprised
    scores = rng.random((400, 7)) + np.eye(7)[labels] * 0.5
    return labels, np.round(scores / scores.sum(axis=1, keepdims=True), 3)  # rounded: many scores are equal


def test_roc_curves_against_scikit_learn(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = answers
    for emotion in range(6):
        curve = roc_curve(labels == emotion, scores[:, emotion])
        false, true, _ = sklearn.roc_curve(labels == emotion, scores[:, emotion], drop_intermediate=False)
        assert np.allclose(curve.false_positive_rate, false)
        assert np.allclose(curve.true_positive_rate, true)
        assert curve.area == pytest.approx(sklearn.roc_auc_score(labels == emotion, scores[:, emotion]))


def test_precision_recall_against_scikit_learn(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = answers
    for emotion in range(6):
        curve = precision_recall_curve(labels == emotion, scores[:, emotion])
        expected = sklearn.average_precision_score(labels == emotion, scores[:, emotion])
        assert curve.average_precision == pytest.approx(expected)
        precision, recall, _ = sklearn.precision_recall_curve(labels == emotion, scores[:, emotion])
        points = {(round(r, 9), round(p, 9)) for r, p in zip(recall, precision, strict=True)}
        assert all((round(r, 9), round(p, 9)) in points for r, p in zip(*curve, strict=True))


def test_macro_and_micro_are_told_apart(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = answers
    present = one_hot(labels, 7)[:, :6]
    assert auc(labels, scores).macro == pytest.approx(
        np.mean([sklearn.roc_auc_score(present[:, i], scores[:, i]) for i in range(6)])
    )
    everything = one_hot(labels, 7).ravel()
    assert auc(labels, scores).micro == pytest.approx(sklearn.roc_auc_score(everything, scores.ravel()))
    assert average_precision(labels, scores).micro == pytest.approx(
        sklearn.average_precision_score(everything, scores.ravel())
    )
    assert average_precision(labels, scores).macro == pytest.approx(
        np.mean([sklearn.average_precision_score(present[:, i], scores[:, i]) for i in range(6)])
    )


def test_the_mean_curves_have_the_mean_area(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = answers
    roc = macro_roc_curve(labels, scores)
    assert roc.area == pytest.approx(auc(labels, scores).macro, abs=1e-12)
    assert (roc.false_positive_rate[0], roc.true_positive_rate[0]) == (0, 0)
    assert (roc.false_positive_rate[-1], roc.true_positive_rate[-1]) == (1, 1)
    assert np.all(np.diff(roc.false_positive_rate) >= 0)
    assert np.all(np.diff(roc.true_positive_rate) >= -1e-12)
    found = macro_precision_recall_curve(labels, scores)
    assert found.average_precision == pytest.approx(average_precision(labels, scores).macro, abs=1e-12)
    assert found.recall[-1] == 1


def test_a_question_with_one_answer_has_no_curve() -> None:
    with pytest.raises(ValueError, match="without it"):
        roc_curve(np.ones(3, bool), np.arange(3.0))
    with pytest.raises(ValueError, match="faces with the emotion"):
        precision_recall_curve(np.zeros(3, bool), np.arange(3.0))
