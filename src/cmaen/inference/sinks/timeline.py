"""A picture of each person's emotions over the time of a video, in memory that does not grow with its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmaen.drawing import colour_of
from cmaen.errors import OutputError, rename_errors
from cmaen.files import check_place, replace_file, unwritable
from cmaen.inference.sinks.base import Needs
from cmaen.results import Face, Result
from cmaen.types import EMOTIONS, Image

BINS = 1024
PEOPLE = 12


class TimelineSink:
    """Draws one band a person when the video ends.

    Args:
        path: Its suffix names the picture's format.

    Raises:
        OutputError: The suffix names no format that can be drawn, or the place cannot be written.
    """

    needs = Needs.RECORDS

    def __init__(self, path: Path) -> None:
        formats = FigureCanvasBase.get_supported_filetypes()
        if path.suffix.lower().lstrip(".") not in formats:
            raise OutputError(f"{path}: a timeline can be drawn as .{', .'.join(sorted(formats))}")
        check_place(path)
        self.path = path
        self._timeline = Timeline()

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        self._timeline.add(result.frame.time or 0.0, result.faces)

    def finish(self) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        with rename_errors(lambda problem: unwritable(self.path, problem)), replace_file(self.path) as temporary:
            self._timeline.figure().savefig(temporary, bbox_inches="tight", dpi=120)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class _Person:
    """Sums of the probabilities [BINS, C], how many were summed [BINS], and when it was last, in seconds."""

    sums: NDArray[np.float64]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    last: float = 0.0

    def halve(self) -> None:
        """Make one bin of each two."""
        half = BINS // 2
        self.sums = np.concatenate([self.sums.reshape(half, 2, -1).sum(axis=1), np.zeros_like(self.sums[half:])])
        self.counts = np.concatenate([self.counts.reshape(half, 2).sum(axis=1), np.zeros(half, np.int64)])


class Timeline:
    """Means of the probabilities by identity, over bins of time that become twice as wide whenever they run out.

    The first bin begins with the first frame.

    Args:
        width: Of a bin at first, in seconds.
        people: The identities that are seen most are drawn, at most so many.
    """

    def __init__(self, *, width: float = 0.1, people: int = PEOPLE) -> None:
        self.width = width
        self.people = people
        self._persons: dict[int, _Person] = {}
        self._begins: float | None = None
        self._time = 0.0
        self._classes = EMOTIONS
        self._faces: Sequence[Face] = ()

    def add(self, time: float, faces: Sequence[Face]) -> None:
        """Take in the faces of a frame at a time in seconds, which do not fall; they stay until the next frame."""
        if self._begins is None:
            self._begins = time
        time = max(time - self._begins, self._time)
        self._stay(time)
        self._time, self._faces = time, faces

    def _stay(self, until: float) -> None:
        """Fill the bins from the frame before up to a time."""
        while until >= BINS * self.width:
            self.width *= 2
            for person in self._persons.values():
                person.halve()
        first = int(self._time / self.width)
        bins = slice(first, max(first + 1, int(until / self.width)))
        for face in self._faces:
            person = self._persons.setdefault(face.identity or 0, _Person(np.zeros((BINS, len(face.classes)))))
            person.sums[bins] += face.probabilities
            person.counts[bins] += 1
            person.last = self._time
            self._classes = face.classes
        while len(self._persons) > 4 * self.people:
            # passers-by make room; who is seen now has not had the time to be seen much
            seen = {one: (person.last >= self._time, person.counts.sum()) for one, person in self._persons.items()}
            del self._persons[min(seen, key=seen.__getitem__)]

    def figure(self) -> Figure:
        """The probabilities of each person stacked over the time, in the order in which they came."""
        self._stay(self._time)
        self._faces = ()
        chosen = sorted(self._persons, key=lambda identity: -self._persons[identity].counts.sum())[: self.people]
        figure = Figure(figsize=(11, 1.2 + 1.3 * max(1, len(chosen))), layout="constrained")
        rows = figure.subplots(max(1, len(chosen)), 1, sharex=True, squeeze=False)[:, 0]
        for axes, identity in zip(rows, sorted(chosen), strict=False):
            person = self._persons[identity]
            last = max(np.flatnonzero(self._persons[one].counts)[-1] for one in chosen) + 1
            means = np.divide(
                person.sums[:last],
                person.counts[:last, None],
                out=np.full((last, len(self._classes)), np.nan),
                where=person.counts[:last, None] > 0,
            )
            edges = np.arange(last + 1) * self.width + (self._begins or 0.0)
            tops = np.cumsum(means, axis=1)
            for emotion, top, mean in zip(self._classes, tops.T, means.T, strict=True):
                colour = tuple(value / 255 for value in colour_of(emotion, self._classes))
                axes.stairs(top, edges, baseline=top - mean, fill=True, color=colour, label=emotion)
            axes.set(ylabel=f"face {identity}", ylim=(0, 1), yticks=[])
        rows[-1].set_xlabel("seconds")
        if chosen:
            rows[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(self._classes), fontsize=8)
        return figure
