"""Whether "0.8" means 80 %: calibration errors, the reliability diagram, and the temperature that mends them.

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
"""A bin of equally many faces has at least so many; of a few faces there are fewer bins than :data:`BINS`."""
FOLDS = 5
MAX_TEMPERATURE = 20.0
BELIEF = 4.0
"""How many faces it takes to weigh as much as the belief that a temperature is 1."""
FEW_FACES = 200
"""Of fewer faces a temperature is fitted with little certainty, and that is said."""
_DRAWS = 200

Binning = Literal["equal_width", "equal_mass"]


class Reliability(NamedTuple):
    """Faces in bins by their confidence; float64 [bins] each, bins without faces left out.

    Attributes:
        confidence: Mean of the bin.
        accuracy: Part of the bin whose answer is right.
        share: Part of all faces that lie in it; they sum to 1.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    share: NDArray[np.float64]

    @property
    def expected_error(self) -> float:
        """ECE, in [0, 1]: mean distance of accuracy and confidence over the faces."""
        return float(np.sum(self.share * np.abs(self.accuracy - self.confidence)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How honest the confidences of a set are.

    Attributes:
        ece_equal_width, ece_equal_mass: Expected calibration error over 15 bins of equal width, or over bins of equally
            many faces, see :func:`count_bins`.
        brier: Mean squared distance of the probabilities to the label, in [0, 2].
        nll: Mean negative log-likelihood of the label, in nats.
        mean_confidence: To be compared with the accuracy.
    """

    ece_equal_width: float
    ece_equal_mass: float
    brier: float
    nll: float
    mean_confidence: float

    def to_dict(self) -> dict[str, float]:
        """A plain dict, ready for JSON."""
        return asdict(self)


def count_bins(faces: int) -> int:
    """How many bins of equally many faces tell something: 15, or fewer where these would have under 20 faces each."""
    return min(max(faces // BIN_FACES, 1), BINS)


def reliability(
    labels: NDArray[np.int64], answers: NDArray[np.float64], binning: Binning, bins: int | None = None
) -> Reliability:
    """The reliability diagram of probabilities float64 [N, E]: accuracy by confidence.

    Args:
        labels: int64 [N].
        answers: Probabilities.
        binning: What the bins have alike.
        bins: How many; ``None``: 15 of equal width, or as :func:`count_bins` says.
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
    """All figures of probabilities float64 [N, E], rows summing to 1."""
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
    """What a network would show on average if its probabilities float64 [N, E] were exactly right.

    Not 0: in bins of so few faces accuracy differs from confidence by chance alone. Found with labels that are drawn
    from the probabilities.
    """
    below = answers.cumsum(axis=1)
    draws = [(below > rng.random((len(answers), 1))).argmax(axis=1) for _ in range(_DRAWS)]
    return Calibration(*np.mean([astuple(calibration(labels, answers)) for labels in draws], axis=0).tolist())


def fit_temperature(
    targets: NDArray[np.int64] | NDArray[np.float32], logits: NDArray[np.float32], *, belief: float = 0.0
) -> float:
    """The temperature, between 0.05 and 20, at which the targets are likeliest; without any, 1.

    By Newton's method on its inverse, in which the negative log-likelihood is convex.

    Args:
        targets: Labels int64 [N], or distributions float32 [N, E], rows summing to 1.
        logits: float32 [N, E].
        belief: How many faces the belief weighs that the temperature is 1, a gamma distribution of the inverse with its
            peak there: of thousands of faces :data:`BELIEF` changes nothing, and twenty right answers do not make a
            network certain.
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
        step = np.clip(
            slope / max(curvature, 1e-12), -inverse / 2, inverse / 2
        )  # at most by half, so that it stays > 0
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
    """Probabilities [N, E] of each face at the temperature that fits the other folds: none judged by its own fit.

    The ``belief`` is that of :func:`fit_temperature`.
    """
    answers = np.empty(logits.shape, np.float64)
    fold_of = np.arange(len(targets)) % folds
    for fold in range(min(folds, len(targets))):
        here, others = fold_of == fold, fold_of != fold
        temperature = fit_temperature(targets[others], logits[others], belief=belief)
        answers[here] = probabilities(logits[here], temperature)
    return answers
