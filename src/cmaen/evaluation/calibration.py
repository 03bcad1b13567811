"""Calibration, whether "0.8" means 80 %: its errors, the reliability diagram, and the temperature that corrects it.

Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.engines import probabilities

BINS = 15
BIN_FACES = 20
"""Minimum number of faces in a bin of equal mass; small sets have fewer bins than :data:`BINS`."""
FOLDS = 5
MAX_TEMPERATURE = 20.0
BELIEF = 4.0
"""Weight, in faces, of the prior belief that a temperature is 1."""
FEW_FACES = 200
"""Number of faces below which a fitted temperature is uncertain, and a warning says so."""
_DRAWS = 200

Binning = Literal["equal_width", "equal_mass"]


class Reliability(NamedTuple):
    """Faces in bins by their confidence; each array is float64 [bins], without empty bins.

    Attributes:
        confidence: Mean confidence in the bin.
        accuracy: Fraction of the faces in the bin that are answered right.
        share: Fraction of all faces that lie in the bin; the fractions sum to 1.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    share: NDArray[np.float64]

    @property
    def expected_error(self) -> float:
        """ECE, in [0, 1]: the mean distance between accuracy and confidence over the faces."""
        return float(np.sum(self.share * np.abs(self.accuracy - self.confidence)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration of the confidences of a set.

    Attributes:
        ece_equal_width, ece_equal_mass: Expected calibration error over 15 bins of equal width, or over bins with equal
            numbers of faces, see :func:`count_bins`.
        brier: Mean squared distance of the probabilities from the label, in [0, 2].
        nll: Mean negative log-likelihood of the label, in nats.
        mean_confidence: Mean confidence, to be compared with the accuracy.
    """

    ece_equal_width: float
    ece_equal_mass: float
    brier: float
    nll: float
    mean_confidence: float

    def to_dict(self) -> dict[str, float]:
        """Return a plain dict, ready for JSON."""
        return asdict(self)


def count_bins(faces: int) -> int:
    """Choose the number of bins of equal mass: 15, or fewer if they would have under 20 faces each."""
    return min(max(faces // BIN_FACES, 1), BINS)


def reliability(
    labels: NDArray[np.int64], answers: NDArray[np.float64], binning: Binning, bins: int | None = None
) -> Reliability:
    """Compute the reliability diagram of probabilities: accuracy by confidence.

    Args:
        labels: Labels, int64 [N].
        answers: Probabilities, float64 [N, E].
        binning: Whether the bins have equal widths, or equal numbers of faces.
        bins: Number of bins; ``None``: 15 of equal width, or :func:`count_bins` of equal mass.
    """
    if bins is None:
        bins = BINS if binning == "equal_width" else count_bins(len(labels))
    confidence = answers.max(axis=1)
    right = answers.argmax(axis=1) == labels
    if binning == "equal_width":
        bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
        groups = [np.flatnonzero(bin_of == number) for number in range(bins)]
    else:
        groups = np.array_split(np.argsort(confidence, kind="stable"), bins)
    groups = [group for group in groups if len(group)]
    return Reliability(
        np.array([confidence[group].mean() for group in groups]),
        np.array([right[group].mean() for group in groups]),
        np.array([len(group) / len(labels) for group in groups]),
    )


def calibration(labels: NDArray[np.int64], answers: NDArray[np.float64]) -> Calibration:
    """Measure the calibration of probabilities float64 [N, E], whose rows sum to 1."""
    rows = np.arange(len(labels))
    truth = np.zeros_like(answers)
    truth[rows, labels] = 1
    return Calibration(
        reliability(labels, answers, "equal_width").expected_error,
        reliability(labels, answers, "equal_mass").expected_error,
        float(np.square(answers - truth).sum(axis=1).mean()),
        float(-np.log(np.maximum(answers[rows, labels], 1e-12)).mean()),
        float(answers.max(axis=1).mean()),
    )


def calibration_by_chance(answers: NDArray[np.float64], rng: np.random.Generator) -> Calibration:
    """Estimate the mean figures of a network whose probabilities float64 [N, E] are exactly right.

    The errors are not 0: in small bins, accuracy differs from confidence by chance alone. The estimate averages over
    labels that are drawn from the probabilities.
    """
    below = answers.cumsum(axis=1)
    draws = [(below > rng.random((len(answers), 1))).argmax(axis=1) for _ in range(_DRAWS)]
    return Calibration(*np.mean([astuple(calibration(labels, answers)) for labels in draws], axis=0).tolist())


def fit_temperature(
    targets: NDArray[np.int64] | NDArray[np.float32], logits: NDArray[np.float32], *, belief: float = 0.0
) -> float:
    """Fit the temperature, between 0.05 and 20, that maximises the likelihood of the targets; it is 1 without any.

    Newton's method finds its inverse, in which the negative log-likelihood is convex.

    Args:
        targets: Labels int64 [N], or distributions float32 [N, E], whose rows sum to 1.
        logits: Logits, float32 [N, E].
        belief: Weight, in faces, of the prior belief that the temperature is 1: a gamma distribution of the inverse
            with its mode there. With :data:`BELIEF`, thousands of faces outweigh it, and twenty right answers do not
            make a network certain.
    """
    inverse, count = 1.0, len(targets)
    if not count:
        return 1.0
    of_labels = targets.ndim == 1
    right = logits[np.arange(count), targets.astype(np.int64)] if of_labels else (targets * logits).sum(axis=1)
    for _ in range(100):
        answers = probabilities(logits, 1 / inverse)
        mean = (answers * logits).sum(axis=1)
        slope = (mean - right).mean() + belief / count * (1 - 1 / inverse)
        curvature = ((answers * logits**2).sum(axis=1) - mean**2).mean() + belief / count / inverse**2
        # at most half of the inverse, so that it stays positive
        step = np.clip(slope / max(curvature, 1e-12), -inverse / 2, inverse / 2)
        inverse = float(np.clip(inverse - step, 1 / MAX_TEMPERATURE, MAX_TEMPERATURE))
        if abs(step) < 1e-9:
            break
    return 1 / inverse


def cross_fit(
    targets: NDArray[np.int64] | NDArray[np.float32],
    logits: NDArray[np.float32],
    folds: int = FOLDS,
    *,
    belief: float = 0.0,
) -> NDArray[np.float64]:
    """Compute the probabilities float64 [N, E] of each face at the temperature that fits the other folds.

    No face is judged at a temperature that was fitted on it. For ``belief`` see :func:`fit_temperature`.
    """
    answers = np.empty(logits.shape, np.float64)
    fold_of = np.arange(len(targets)) % folds
    for fold in range(min(folds, len(targets))):
        here, others = fold_of == fold, fold_of != fold
        temperature = fit_temperature(targets[others], logits[others], belief=belief)
        answers[here] = probabilities(logits[here], temperature)
    return answers
