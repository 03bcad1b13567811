from __future__ import annotations

import numpy as np
import pytest

from cmaen.evaluation.metrics import confusion_matrix, macro_f1, measure
from cmaen.types import EMOTIONS


def test_against_an_independent_implementation() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 500)
    predictions = np.where(rng.random(500) < 0.6, labels, rng.integers(0, 7, 500))
    metrics = measure(labels, predictions)
    target, guess = torch.from_numpy(labels), torch.from_numpy(predictions)
    assert metrics.accuracy == pytest.approx(functional.multiclass_accuracy(guess, target, 7, average="micro").item())
    assert metrics.macro_f1 == pytest.approx(functional.multiclass_f1_score(guess, target, 7, average="macro").item())
    assert metrics.confusion == functional.multiclass_confusion_matrix(guess, target, 7).tolist()
    precision = functional.multiclass_precision(guess, target, 7, average=None)
    assert [figures.precision for figures in metrics.by_emotion.values()] == pytest.approx(precision.tolist())


def test_by_hand() -> None:
    metrics = measure(np.array([0, 0, 3, 3]), np.array([0, 3, 3, 3]))
    assert metrics.accuracy == 0.75
    assert metrics.by_emotion["angry"].recall == 0.5
    assert metrics.by_emotion["happy"].precision == pytest.approx(2 / 3)
    assert metrics.by_emotion["disgust"].f1 == 0
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 0.8) / 2)
    assert metrics.confusion[EMOTIONS.index("angry")][EMOTIONS.index("happy")] == 1


def test_nothing_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="not be empty"):
        measure(np.array([], int), np.array([], int))


def test_the_macro_f1_of_many_matrices_is_that_of_each() -> None:
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 7, (2, 50, 9))  # so few faces that some classes have none
    matrices = np.stack([confusion_matrix(*pair, 7) for pair in zip(labels, predictions, strict=True)])
    each = [measure(*pair).macro_f1 for pair in zip(labels, predictions, strict=True)]
    assert macro_f1(matrices).tolist() == pytest.approx(each)
