"""The annotators' view: does the network see what most people see, and is it as unsure as they are?

FER2013's labels are one noisy opinion; FER+ (Barsoum et al., 2016) has ten on each image.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """A network against the annotators, over the faces that got a vote for one of the emotions.

    Attributes:
        count: How many faces.
        majority_accuracy: Part whose answer is an emotion that most annotators chose; with a tie, one of them.
        label_majority_accuracy: The same for FER2013's own labels.
        divergence: Mean Jensen-Shannon divergence of the network's distribution from theirs, in bits, in [0, 1].
        entropy: Mean entropy of the network's distribution, in bits.
        annotators_entropy: Mean entropy of theirs.
        entropy_correlation: Spearman's rank correlation of the two over the faces, in [-1, 1]: 1 if the network doubts
            exactly where people do.
    """

    count: int
    majority_accuracy: float
    label_majority_accuracy: float
    divergence: float
    entropy: float
    annotators_entropy: float
    entropy_correlation: float

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return asdict(self)


def agreement(
    labels: NDArray[np.int64], answers: NDArray[np.float64], shares: NDArray[np.float32], voted: NDArray[np.bool_]
) -> Agreement:
    """The figures of a set.

    Args:
        labels: FER2013's, int64 [N].
        answers: Probabilities of the network [N, E].
        shares: The annotators' distribution [N, E], see :func:`cmaen.data.ferplus.vote_distribution`.
        voted: bool [N], whether a face has votes.

    Raises:
        ValueError: No face has votes.
    """
    if not voted.any():
        raise ValueError("no face has votes")
    labels, answers, people = labels[voted], answers[voted], shares[voted].astype(np.float64)
    rows = np.arange(len(labels))
    chosen = np.isclose(people, people.max(axis=1, keepdims=True))
    own, theirs = entropy(answers), entropy(people)
    return Agreement(
        len(labels),
        float(chosen[rows, answers.argmax(axis=1)].mean()),
        float(chosen[rows, labels].mean()),
        float(jensen_shannon(answers, people).mean()),
        float(own.mean()),
        float(theirs.mean()),
        rank_correlation(own, theirs),
    )


def entropy(distributions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row, in bits."""
    logarithms = np.log2(distributions, out=np.zeros_like(distributions), where=distributions > 0)
    return np.asarray(-(distributions * logarithms).sum(axis=-1))


def jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Jensen-Shannon divergence of each pair of rows, in bits, in [0, 1] (Lin, 1991)."""
    return np.asarray(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2)


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's, with mean ranks for equal values; 0 where one of them is constant."""
    ranks = [_ranks(values) for values in (first, second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])
