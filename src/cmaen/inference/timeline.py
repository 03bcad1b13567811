"""Each person's emotions over the time of a video, in memory that does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmaen.inference.video import TrackedFace
from cmaen.types import COLOURS, EMOTIONS

BINS = 1024
PEOPLE = 12


@dataclass
class _Person:
    """Sums of the probabilities [BINS, 7], and how many were summed [BINS]."""

    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((BINS, len(EMOTIONS))))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def halve(self) -> None:
        """Make one bin of each two."""
        half = BINS // 2
        self.sums = np.concatenate([self.sums.reshape(half, 2, -1).sum(axis=1), np.zeros((half, len(EMOTIONS)))])
        self.counts = np.concatenate([self.counts.reshape(half, 2).sum(axis=1), np.zeros(half, np.int64)])


class Timeline:
    """Means of the probabilities by identity, over bins of time that become twice as wide whenever they run out.

    Args:
        width: Of a bin at first, in seconds.
        people: The identities that are seen most are kept, at most so many.
    """

    def __init__(self, *, width: float = 0.1, people: int = PEOPLE) -> None:
        self.width = width
        self.people = people
        self._persons: dict[int, _Person] = {}

    def add(self, time: float, faces: Iterable[TrackedFace]) -> None:
        """Take in the faces of a frame at a time in seconds."""
        while time >= BINS * self.width:
            self.width *= 2
            for person in self._persons.values():
                person.halve()
        index = int(time / self.width)
        for found in faces:
            person = self._persons.setdefault(found.identity, _Person())
            person.sums[index] += found.face.probabilities
            person.counts[index] += 1
        while len(self._persons) > 4 * self.people:  # passers-by make room
            del self._persons[min(self._persons, key=lambda identity: self._persons[identity].counts.sum())]

    def figure(self) -> Figure:
        """One band a person, from the one who is seen first: the seven probabilities stacked over the time."""
        chosen = sorted(self._persons, key=lambda identity: -self._persons[identity].counts.sum())[: self.people]
        figure = Figure(figsize=(11, 1.2 + 1.3 * max(1, len(chosen))), layout="constrained")
        rows = figure.subplots(max(1, len(chosen)), 1, sharex=True, squeeze=False)[:, 0]
        for axes, identity in zip(rows, sorted(chosen), strict=False):
            person = self._persons[identity]
            last = max(np.flatnonzero(self._persons[one].counts)[-1] for one in chosen) + 1
            times = (np.arange(last) + 0.5) * self.width
            means = np.divide(
                person.sums[:last],
                person.counts[:last, None],
                out=np.full((last, len(EMOTIONS)), np.nan),
                where=person.counts[:last, None] > 0,
            )
            colours = [tuple(value / 255 for value in COLOURS[emotion]) for emotion in EMOTIONS]
            axes.stackplot(times, means.T, colors=colours, labels=EMOTIONS)
            axes.set(ylabel=f"face {identity}", ylim=(0, 1), yticks=[])
        rows[-1].set_xlabel("seconds")
        if chosen:
            rows[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(EMOTIONS), fontsize=8)
        return figure
