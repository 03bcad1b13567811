"""ROC and precision-recall curves, one emotion against the rest, as pure functions of labels and probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class RocCurve(NamedTuple):
    """One point for each threshold, from (0, 0) to (1, 1); both arrays are float64 [P], ascending."""

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]

    @property
    def area(self) -> float:
        """AUC, in [0, 1]: the probability that a face with the emotion scores above one without it."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))


class PrecisionRecallCurve(NamedTuple):
    """One point for each threshold, from the highest; both arrays are float64 [P], with recall ascending."""

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]

    @property
    def average_precision(self) -> float:
        """AP, in [0, 1]: the precision at each threshold, weighted by the recall that it adds."""
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.precision))


class Summary(NamedTuple):
    """A figure of all emotions, averaged in two ways.

    Attributes:
        macro: Mean of the emotions' figures; every emotion has the same weight.
        micro: Figure of all decisions (face, emotion) pooled; every face has the same weight.
    """

    macro: float
    micro: float


def roc_curve(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> RocCurve:
    """Compute the ROC curve of a binary decision.

    Args:
        positive: Correct decisions, bool [N], with both values among them.
        scores: Scores, float64 [N], higher for positives.

    Raises:
        ValueError: All correct decisions are the same.
    """
    hits, others = _cumulate(positive, scores)
    if not hits[-1] or not others[-1]:
        raise ValueError("a ROC curve needs faces with the emotion and faces without it")
    start = np.zeros(1)
    return RocCurve(np.concatenate([start, others / others[-1]]), np.concatenate([start, hits / hits[-1]]))


def precision_recall_curve(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> PrecisionRecallCurve:
    """Compute the precision-recall curve of a binary decision; see :func:`roc_curve` for the arguments.

    Raises:
        ValueError: There are no positives.
    """
    hits, others = _cumulate(positive, scores)
    if not hits[-1]:
        raise ValueError("a precision-recall curve needs faces with the emotion")
    return PrecisionRecallCurve(hits / hits[-1], hits / (hits + others))


def macro_roc_curve(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> RocCurve:
    """Average the emotions' ROC curves at every false positive rate at which one of them has a point.

    Its area is the mean of their areas: where a curve rises vertically, so does the mean.

    Args:
        labels: Labels, int64 [N], of at least two emotions; emotions without faces are left out.
        probabilities: Probabilities, float64 [N, E].
    """
    curves = [roc_curve(positive, scores) for positive, scores in _questions(labels, probabilities)]
    rates = np.unique(np.concatenate([curve.false_positive_rate for curve in curves]))
    below = np.mean([np.interp(-rates, -false[::-1], true[::-1]) for false, true in curves], axis=0)
    above = np.mean([np.interp(rates, false, true) for false, true in curves], axis=0)
    heights = np.stack([below, above], axis=1).ravel()  # [P] twice -> [2 P]
    return RocCurve(np.repeat(rates, 2), heights)


def macro_precision_recall_curve(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> PrecisionRecallCurve:
    """Average the emotions' precisions at every recall at which one of them has a point.

    A recall between two points has the precision of the higher one, as in the average precision, so that the average
    precision of the mean curve is the mean of theirs. See :func:`macro_roc_curve` for the arguments.
    """
    curves = [precision_recall_curve(positive, scores) for positive, scores in _questions(labels, probabilities)]
    recalls = np.unique(np.concatenate([curve.recall for curve in curves]))
    precisions = [curve.precision[np.searchsorted(curve.recall, recalls)] for curve in curves]
    return PrecisionRecallCurve(recalls, np.mean(precisions, axis=0))


def one_hot(labels: NDArray[np.int64], emotions: int) -> NDArray[np.bool_]:
    """Encode labels int64 [N] as bool [N, E]."""
    return np.asarray(labels[:, None] == np.arange(emotions))


def auc(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Summary:
    """Compute the area under the ROC curves of probabilities float64 [N, E]; the mean omits emotions without faces."""
    areas = [roc_curve(positive, scores).area for positive, scores in _questions(labels, probabilities)]
    positive = one_hot(labels, probabilities.shape[1])
    return Summary(float(np.mean(areas)), roc_curve(positive.ravel(), probabilities.ravel()).area)


def average_precision(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Summary:
    """Compute the average precision of probabilities float64 [N, E]; the mean omits emotions without faces."""
    figures = [
        precision_recall_curve(positive, scores).average_precision
        for positive, scores in _questions(labels, probabilities)
    ]
    positive = one_hot(labels, probabilities.shape[1])
    return Summary(
        float(np.mean(figures)), precision_recall_curve(positive.ravel(), probabilities.ravel()).average_precision
    )


def _questions(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """Yield the correct decisions, bool [N], and the scores, float64 [N], of each emotion that has faces."""
    positive = one_hot(labels, probabilities.shape[1])
    for index in np.flatnonzero(positive.any(axis=0)):
        yield positive[:, index], probabilities[:, index]


def _cumulate(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count the positives and the negatives at or above each threshold, from the highest; equal scores share one."""
    order = np.argsort(-scores, kind="stable")
    positive, scores = positive[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits = np.cumsum(positive)[last].astype(np.float64)
    return hits, last + 1 - hits
