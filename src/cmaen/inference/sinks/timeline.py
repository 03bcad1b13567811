"""A picture of each person's emotions over the time of a video, in memory that does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmaen.errors import OutputError
from cmaen.files import replacing
from cmaen.types import COLOURS, EMOTIONS, FaceEmotion, Image, Result

BINS = 1024
PEOPLE = 12


class TimelineSink:
    """Draws one band a person when the video ends.

    Args:
        path: Its suffix names the picture's format.

    Raises:
        OutputError: The suffix names no format that can be drawn.
    """

    draws = False

    def __init__(self, path: Path) -> None:
        formats = FigureCanvasBase.get_supported_filetypes()
        if path.suffix.lower().lstrip(".") not in formats:
            raise OutputError(f"{path}: a timeline can be drawn as .{', .'.join(sorted(formats))}")
        self.path = path
        self._timeline = Timeline()

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.Sink`."""
        self._timeline.add(result.frame.time or 0.0, result.faces)

    def finish(self) -> None:
        """See :class:`~cmaen.inference.sinks.Sink`."""
        with replacing(self.path) as temporary:
            self._timeline.figure().savefig(temporary, bbox_inches="tight", dpi=120)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class _Person:
    """Sums of the probabilities [BINS, 7], how many were summed [BINS], and when it was last, in seconds."""

    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((BINS, len(EMOTIONS))))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    last: float = 0.0

    def halve(self) -> None:
        """Make one bin of each two."""
        half = BINS // 2
        self.sums = np.concatenate([self.sums.reshape(half, 2, -1).sum(axis=1), np.zeros((half, len(EMOTIONS)))])
        self.counts = np.concatenate([self.counts.reshape(half, 2).sum(axis=1), np.zeros(half, np.int64)])


class Timeline:
    """Means of the probabilities by identity, over bins of time that become twice as wide whenever they run out.

    Args:
        width: Of a bin at first, in seconds.
        people: The identities that are seen most are drawn, at most so many.
    """

    def __init__(self, *, width: float = 0.1, people: int = PEOPLE) -> None:
        self.width = width
        self.people = people
        self._persons: dict[int, _Person] = {}

    def add(self, time: float, faces: Iterable[FaceEmotion]) -> None:
        """Take in the faces of a frame at a time in seconds."""
        while time >= BINS * self.width:
            self.width *= 2
            for person in self._persons.values():
                person.halve()
        index = int(time / self.width)
        for face in faces:
            person = self._persons.setdefault(face.identity or 0, _Person())
            person.sums[index] += face.probabilities
            person.counts[index] += 1
            person.last = time
        while len(self._persons) > 4 * self.people:
            # passers-by make room; who is seen now has not had the time to be seen much
            del self._persons[min(self._persons, key=lambda one: (self._persons[one].last >= time, self._seen(one)))]

    def figure(self) -> Figure:
        """The seven probabilities of each person stacked over the time, in the order in which they came."""
        chosen = sorted(self._persons, key=lambda identity: -self._seen(identity))[: self.people]
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

    def _seen(self, identity: int) -> int:
        return int(self._persons[identity].counts.sum())
