"""Measurement against what people see: the answers of a network against the votes of FER+ (Barsoum et al., 2016).

The majority protocol counts a face as right if the answer, one of eight emotions, is what most annotators chose. The
shares demand more: if the network answers 30 % sad, do 30 % of the annotators say so?
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.data.ferplus import find_agreed, majority, perceived_distribution
from cmaen.data.splits import FaceSet
from cmaen.errors import DataError
from cmaen.evaluation.agreement import jensen_shannon
from cmaen.evaluation.calibration import BINS, Calibration, calibration
from cmaen.evaluation.intervals import Interval
from cmaen.evaluation.metrics import Metrics, measure
from cmaen.types import PERCEIVED_LABELS


class Shares(NamedTuple):
    """Pairs of a face and an emotion in bins by predicted share; each array is float64 [bins], without empty bins.

    Attributes:
        predicted: Mean predicted share in the bin.
        observed: Mean share of the annotators who saw that emotion in that face.
        weight: Fraction of all predicted mass that lies in the bin; the fractions sum to 1.
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Mean distance between predicted and observed shares over the predicted mass, in [0, 1]."""
        return float(np.sum(self.weight * np.abs(self.predicted - self.observed)))


class Mistakes(NamedTuple):
    """The annotators' votes on faces whose answer is not their majority.

    Attributes:
        faces: Number of these faces.
        majority_share: Mean share of the annotators who chose the majority.
        answer_share: Mean share of the annotators who chose the network's answer.
        second_choice: Fraction of these faces whose answer has more votes than any emotion but the majority, or as
            many.
        without_vote: Fraction of these faces whose answer no annotator chose.
    """

    faces: int
    majority_share: float
    answer_share: float
    second_choice: float
    without_vote: float

    @classmethod
    def of(cls, people: NDArray[np.float64], seen: NDArray[np.int64], chosen: NDArray[np.int64]) -> Mistakes:
        """Compare the annotators' shares [N, E] and majorities [N] with the answers [N]; all 0 if none is wrong."""
        wrong = np.flatnonzero(seen != chosen)
        if not len(wrong):
            return cls(0, 0.0, 0.0, 0.0, 0.0)
        majority_share, answer_share = people[wrong, seen[wrong]], people[wrong, chosen[wrong]]
        others = people[wrong].copy()
        others[np.arange(len(wrong)), seen[wrong]] = 0
        second = (answer_share > 0) & (answer_share >= others.max(axis=1))
        shares = (majority_share, answer_share, second, answer_share == 0)
        return cls(len(wrong), *(float(share.mean()) for share in shares))


@dataclass(frozen=True)
class PerceivedAssessment:
    """The measurement of a network against the annotators of FER+.

    Attributes:
        majority: Figures by the majority protocol, with eight classes.
        calibration: Calibration of the confidences against the majority.
        agreed_count, agreed_accuracy: Number of faces on which more than half of the annotators agree, and the accuracy
            on them.
        shares: Reliability of the whole distribution against the annotators' shares.
        divergence: Mean Jensen-Shannon divergence from the annotators' distribution, in bits, in [0, 1].
        mistakes: The annotators' votes on the faces that are answered wrong.
    """

    majority: Metrics
    calibration: Calibration
    agreed_count: int
    agreed_accuracy: float
    shares: Shares
    divergence: float
    mistakes: Mistakes

    @property
    def accuracy_interval(self) -> Interval:
        """95 % interval of the accuracy by the majority protocol."""
        return self.majority.accuracy_interval

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return {
            **asdict(self),
            "majority": self.majority.to_dict(),
            "accuracy_interval": list(self.accuracy_interval),
            "shares": {name: values.tolist() for name, values in self.shares._asdict().items()},
            "share_error": self.shares.error,
            "mistakes": self.mistakes._asdict(),
        }


def assess_perceived(
    faces: FaceSet, answers: NDArray[np.float64], *, sharpening: float | NDArray[np.floating[Any]] = 1.0
) -> PerceivedAssessment:
    """Measure answers against the annotators' votes.

    Args:
        faces: Faces with votes; those without a majority are left out.
        answers: Probabilities float64 [N, 8] in the order of :data:`cmaen.types.PERCEIVED_LABELS`, or [N, 7] of a
            network that never answers contempt.
        sharpening: Exponent that turns probabilities into confidences, see
            :attr:`cmaen.checkpoints.card.Scheme.sharpening`; of all faces, or of each, [N].

    Raises:
        DataError: No face has a majority.
    """
    seen = majority(faces)
    usable = seen >= 0
    if not usable.any():
        raise DataError("no face has FER+ votes with a majority, so there is nothing to compare the answers with")
    missing = len(PERCEIVED_LABELS) - answers.shape[1]
    answers = np.pad(answers, ((0, 0), (0, missing)))[usable]
    seen, people = seen[usable], perceived_distribution(faces)[usable].astype(np.float64)
    chosen = answers.argmax(axis=1)
    clear = find_agreed(faces)[usable]
    powers = answers ** np.broadcast_to(sharpening, len(usable))[usable, None]
    confidences = powers / powers.sum(axis=1, keepdims=True)
    return PerceivedAssessment(
        majority=measure(seen, chosen, PERCEIVED_LABELS),
        calibration=calibration(seen, confidences),
        agreed_count=int(clear.sum()),
        agreed_accuracy=float((seen == chosen)[clear].mean()) if clear.any() else 0.0,
        shares=compare_shares(answers, people),
        divergence=float(jensen_shannon(answers, people).mean()),
        mistakes=Mistakes.of(people, seen, chosen),
    )


def compare_shares(answers: NDArray[np.float64], people: NDArray[np.float64], bins: int = BINS) -> Shares:
    """Compute the reliability of whole distributions [N, E]: observed by predicted shares, in bins of equal width.

    Each pair is weighted by its predicted share, so that the many that are almost 0 do not hide the rest.
    """
    predicted, observed = answers.ravel(), people.ravel()
    bin_of = np.clip(np.ceil(predicted * bins).astype(int) - 1, 0, bins - 1)
    mass = np.bincount(bin_of, predicted, minlength=bins)
    there = mass > 0

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(bin_of, values * predicted, minlength=bins)[there] / mass[there])

    return Shares(mean(predicted), mean(observed), mass[there] / mass.sum())
