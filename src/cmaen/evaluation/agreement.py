"""Agreement with annotators: does the network see what most people see, and is it as unsure as they are?

A label of FER2013 is one noisy opinion; FER+ (Barsoum et al., 2016) has the votes of ten annotators for each image.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of a network with the annotators, over the faces with at least one vote for an emotion.

    Attributes:
        count: Number of faces.
        majority_accuracy: Fraction of faces whose answer is the emotion that most annotators chose, or one of them if
            several are tied.
        label_majority_accuracy: The same fraction for the labels of FER2013.
        divergence: Mean Jensen-Shannon divergence between the distributions of the network and of the annotators, in
            bits, in [0, 1].
        entropy: Mean entropy of the network's distribution, in bits.
        annotators_entropy: Mean entropy of the annotators' distribution, in bits.
        entropy_correlation: Spearman's rank correlation of the two entropies over the faces, in [-1, 1]: 1 if the
            network is unsure exactly where people are.
    """

    count: int
    majority_accuracy: float
    label_majority_accuracy: float
    divergence: float
    entropy: float
    annotators_entropy: float
    entropy_correlation: float

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return asdict(self)


def agreement(
    labels: NDArray[np.int64], answers: NDArray[np.float64], shares: NDArray[np.float32], voted: NDArray[np.bool_]
) -> Agreement:
    """Measure the agreement on a set of faces.

    Args:
        labels: Labels of FER2013, int64 [N].
        answers: Probabilities of the network, float64 [N, E].
        shares: Distributions of the annotators' votes, float32 [N, E], see
            :func:`cmaen.data.ferplus.vote_distribution`.
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
    """Compute the entropy of each row, in bits."""
    logarithms = np.log2(distributions, out=np.zeros_like(distributions), where=distributions > 0)
    return np.asarray(-(distributions * logarithms).sum(axis=-1))


def jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the Jensen-Shannon divergence of each pair of rows, in bits, in [0, 1] (Lin, 1991)."""
    return np.asarray(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2)


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Compute Spearman's rank correlation, with mean ranks for ties; it is 0 if either input is constant."""
    ranks = [_ranks(values) for values in (first, second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])
