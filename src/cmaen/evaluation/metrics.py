"""Metrics as pure functions of labels and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.evaluation.intervals import Interval, wilson
from cmaen.types import EMOTIONS


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """Figures of one emotion, in [0, 1]; 0 if the denominator is 0.

    Attributes:
        precision: Fraction of the faces with this answer that have this label.
        recall: Fraction of the faces with this label that have this answer.
        f1: Harmonic mean of precision and recall.
        support: Number of faces with this label.
    """

    precision: float
    recall: float
    f1: float
    support: int

    @property
    def recall_interval(self) -> Interval:
        """95 % interval of the recall; all of [0, 1] if no face has this label."""
        return wilson(round(self.recall * self.support), self.support)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return {**asdict(self), "recall_interval": list(self.recall_interval)}


@dataclass(frozen=True)
class Metrics:
    """Figures of a set of faces.

    Attributes:
        count: Number of faces.
        accuracy: Fraction of the faces whose most probable emotion is the label.
        macro_f1: Mean F1 of the emotions that have faces or predictions.
        by_emotion: Figures of each emotion.
        confusion: Confusion matrix, counts[label][prediction].
    """

    count: int
    accuracy: float
    macro_f1: float
    by_emotion: dict[str, ClassMetrics]
    confusion: list[list[int]]

    @property
    def accuracy_interval(self) -> Interval:
        """95 % interval of the accuracy."""
        return wilson(round(self.accuracy * self.count), self.count)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        by_emotion = {emotion: figures.to_dict() for emotion, figures in self.by_emotion.items()}
        return {**asdict(self), "by_emotion": by_emotion, "accuracy_interval": list(self.accuracy_interval)}


def confusion_matrix(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count the pairs of label and prediction, int64 [C, C]: rows are labels, columns are predictions."""
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def measure(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: Sequence[str] = EMOTIONS) -> Metrics:
    """Measure the predictions for a set of faces.

    Args:
        labels: Labels, int64 [N], as indices into the classes.
        predictions: Predictions, int64 [N], likewise.
        classes: Names of the classes.

    Raises:
        ValueError: There are no faces, or labels and predictions differ in length.
    """
    if len(labels) == 0 or labels.shape != predictions.shape:
        raise ValueError(
            f"labels {labels.shape} and predictions {predictions.shape} must have the same shape and not be empty"
        )
    matrix = confusion_matrix(labels, predictions, len(classes))
    hits, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision = _ratio(hits, predicted)
    recall = _ratio(hits, support)
    f1 = _ratio(2 * hits, support + predicted)
    present = support + predicted > 0
    by_emotion = {
        emotion: ClassMetrics(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
        for i, emotion in enumerate(classes)
    }
    return Metrics(len(labels), float(hits.sum() / len(labels)), float(f1[present].mean()), by_emotion, matrix.tolist())


def macro_f1(matrices: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the macro-F1 of each confusion matrix, int64 [M, C, C] -> float64 [M]; see :attr:`Metrics.macro_f1`."""
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    faces = matrices.sum(axis=1) + matrices.sum(axis=2)
    return np.asarray(_ratio(2 * hits, faces).sum(axis=1) / (faces > 0).sum(axis=1))


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)
