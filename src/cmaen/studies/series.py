"""One person's answers as values over time: integrals over any spans of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.recordings.recording import NO_ANSWER, Appearance, Recording
from cmaen.types import UNSURE_BELOW


class Series(NamedTuple):
    """Values that hold from each frame of a person until the next one.

    Attributes:
        starts: Time of each frame in seconds, float64 [N], increasing.
        durations: Seconds for which it stands, float64 [N].
        answered: 1 for the answer and 0 for the others, float64 [N, E + 1]; the last is "uncertain".
        probabilities: Probabilities of the emotions, float64 [N, E].
        unsure: Whether the confidence is below :data:`cmaen.types.UNSURE_BELOW` or there is no answer, bool [N].
    """

    starts: NDArray[np.float64]
    durations: NDArray[np.float64]
    answered: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    unsure: NDArray[np.bool_]

    def integrate(self, values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Integrate values over the spans between edges, exactly.

        Args:
            values: Values of each frame, float64 [N, K].
            edges: Times in seconds, float64 [B + 1], increasing.

        Returns:
            Integrals over each span, float64 [B, K], in the unit of the values times seconds.
        """
        if not len(self.starts):
            return np.zeros((len(edges) - 1, values.shape[1]))
        after = np.cumsum(values * self.durations[:, None], axis=0)  # [N, K]
        before = np.concatenate([np.zeros((1, values.shape[1])), after[:-1]])  # [N, K]
        knots = np.stack([self.starts, self.starts + self.durations], axis=1).ravel()  # [N, 2] -> [2 N]
        totals = np.stack([before, after], axis=1).reshape(len(knots), -1)  # [N, 2, K] -> [2 N, K]
        at_edges = np.stack([np.interp(edges, knots, column) for column in totals.T], axis=1)  # [B + 1, K]
        return np.diff(at_edges, axis=0)  # [B + 1, K] -> [B, K]

    @property
    def seen(self) -> NDArray[np.float64]:
        """One for each frame, float64 [N, 1]: its integral is the time seen."""
        return np.ones((len(self.starts), 1))


def follow(recording: Recording, appearance: Appearance) -> Series:
    """Make the series of a person's answers."""
    answers = appearance.answers
    count = len(recording.labels)
    answered = np.zeros((len(appearance), count + 1))
    answered[np.arange(len(answers)), np.where(answers == NO_ANSWER, count, answers)] = 1
    return Series(
        starts=recording.times[appearance.frames],
        durations=recording.durations[appearance.frames],
        answered=answered,
        probabilities=appearance.probabilities,
        unsure=(appearance.confidence < UNSURE_BELOW) | (answers == NO_ANSWER),
    )
