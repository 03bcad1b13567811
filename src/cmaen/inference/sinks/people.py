"""The people of a video: how long each was seen, what each seemed to feel, and when that was clearest."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.errors import OutputError
from cmaen.files import check_place, replace_file
from cmaen.inference.people.naming import Names, Settle
from cmaen.inference.sinks.base import Needs
from cmaen.results import Face, Result
from cmaen.types import Image

COLUMNS = ("path", "person", "seconds", "first", "last", "frames", "emotion", "unsure")
"""Columns of the CSV; they are followed by the share, mean, peak and time of the peak of each class."""

NOBODY = "not recognised"
"""Name of all faces that were never seen well enough to be told apart, where people are recognised."""


@dataclass
class Person:
    """One person of a video; grows while the video is read.

    Attributes:
        identity: Number of the person, from 1; of several tracks, the smallest.
        classes: Classes of the answers.
        first, last: When the person was first and last seen, in seconds of the video.
        frames: Number of analysed frames that show the person.
        seconds: Time for which the person was seen: each frame lasts until the next one.
        name: Name of a recognised person; ``None`` if people are not recognised.
    """

    identity: int
    classes: tuple[str, ...]
    first: float
    last: float = 0.0
    frames: int = 0
    seconds: float = 0.0
    name: str | None = None
    _unsure: float = 0.0
    _answered: NDArray[np.float64] = field(init=False)  # seconds of each answer [C]
    _sums: NDArray[np.float64] = field(init=False)  # of the probabilities over the frames [C]
    _peaks: NDArray[np.float64] = field(init=False)  # [C]
    _moments: NDArray[np.float64] = field(init=False)  # of the peaks, in seconds [C]

    def __post_init__(self) -> None:
        self._answered, self._sums, self._moments = (np.zeros(len(self.classes)) for _ in range(3))
        self._peaks = np.full(len(self.classes), -1.0)

    def see(self, face: Face, time: float) -> None:
        """Add the person's face in a frame at a time in seconds."""
        probabilities = np.asarray(face.probabilities)
        self.frames += 1
        self.last = time
        self._sums += probabilities
        higher = probabilities > self._peaks
        self._peaks[higher], self._moments[higher] = probabilities[higher], time

    def stay(self, face: Face, seconds: float) -> None:
        """Let the face of the last frame last for a number of seconds."""
        self.seconds += seconds
        self._answered[int(np.argmax(face.probabilities))] += seconds
        self._unsure += seconds * face.is_unsure

    def absorb(self, other: Person) -> None:
        """Add another track of the same person, which was never seen in the same frame."""
        self.identity = min(self.identity, other.identity)
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.frames += other.frames
        self.seconds += other.seconds
        self._unsure += other._unsure
        self._answered += other._answered
        self._sums += other._sums
        higher = other._peaks > self._peaks
        self._peaks[higher], self._moments[higher] = other._peaks[higher], other._moments[higher]

    @property
    def label(self) -> str:
        """Name of the person, or the number."""
        return str(self.identity) if self.name is None else self.name

    @property
    def shares(self) -> dict[str, float]:
        """Share of the person's time in which each class was the most probable one."""
        return self._by_class(self._answered / max(self.seconds, 1e-9))

    @property
    def means(self) -> dict[str, float]:
        """The mean probability of each class over the frames."""
        return self._by_class(self._sums / max(self.frames, 1))

    @property
    def peaks(self) -> dict[str, tuple[float, float]]:
        """The highest probability of each class, and when that was, in seconds of the video."""
        moments = self._by_class(self._moments)
        return {name: (peak, moments[name]) for name, peak in self._by_class(self._peaks).items()}

    @property
    def unsure(self) -> float:
        """Share of the person's time in which the answer was unsure."""
        return self._unsure / max(self.seconds, 1e-9)

    @property
    def emotion(self) -> str:
        """The class that was the most probable one for longest."""
        return self.classes[int(np.argmax(self._answered))]

    def to_row(self, path: str) -> dict[str, Any]:
        """Return the person's row of the CSV, by column; times are rounded to milliseconds, shares to five digits."""
        row: dict[str, Any] = {
            "path": path,
            "person": self.label,
            "seconds": round(self.seconds, 3),
            "first": round(self.first, 3),
            "last": round(self.last, 3),
            "frames": self.frames,
            "emotion": self.emotion,
            "unsure": f"{self.unsure:.5g}",
        }
        shares, means = self.shares, self.means
        for name, (peak, moment) in self.peaks.items():
            row |= {f"{name}_share": f"{shares[name]:.5g}", f"{name}_mean": f"{means[name]:.5g}"}
            row |= {f"{name}_peak": f"{peak:.5g}", f"{name}_peak_time": round(moment, 3)}
        return row

    def _by_class(self, values: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(self.classes, values.tolist(), strict=True))


class PeopleSink:
    """Sums up each person of a video, in memory that grows with the people and not with the length.

    Args:
        path: CSV with one row per person, written at the end; ``None``: no file is written.
        settle: Returns the final names of people, by which their tracks are put together; ``None`` if people are not
            recognised.

    Attributes:
        people: Persons by identity; complete at the end. If people are recognised, the faces that were never seen well
            enough to be told apart are one of them, :data:`NOBODY`.

    Raises:
        OutputError: The path does not end in .csv, or cannot be written.
    """

    needs = Needs.RECORDS

    def __init__(self, path: Path | None = None, *, settle: Settle | None = None) -> None:
        if path is not None:
            if path.suffix.lower() != ".csv":
                raise OutputError(f"{path}: the table of people is a .csv file")
            check_place(path)
        self.people: dict[int, Person] = {}
        self._path = path
        self._settle = settle
        self._name = ""
        self._faces: tuple[Face, ...] = ()
        self._time: float | None = None
        self._step = 0.0

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        time = result.frame.time or 0.0
        self._name = result.frame.name
        if self._time is not None:
            self._step = max(time - self._time, 0.0)
            self._stay()
        for face in result.faces:
            identity = face.identity or 0
            person = self.people.setdefault(identity, Person(identity, face.classes, time))
            person.see(face, time)
        self._faces, self._time = result.faces, time

    def finish(self) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`; the last frame lasts as long as the one before it."""
        self._stay()
        self._faces = ()
        if self._settle is not None:
            self.people = put_together(self.people, self._settle())
        self.people = dict(sorted(self.people.items()))
        if self._path is not None:
            with replace_file(self._path) as temporary:
                self._write(temporary)

    def close(self) -> None:
        """Do nothing: no file is open."""

    def _stay(self) -> None:
        for face in self._faces:
            self.people[face.identity or 0].stay(face, self._step)

    def _write(self, path: Path) -> None:
        classes = dict.fromkeys(name for person in self.people.values() for name in person.classes)
        columns = [*COLUMNS, *(column for name in classes for column in _columns_of(name))]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(person.to_row(self._name) for person in self.people.values())


def put_together(tracks: Mapping[int, Person], names: Names) -> dict[int, Person]:
    """Put the tracks of each person together, and leave out those of excluded people.

    Args:
        tracks: Tracks by identity.
        names: The final names.

    Returns:
        Persons by the smallest of their identities; several have a name in common only if that is :data:`NOBODY`.
    """
    people: dict[str, Person] = {}
    for identity, track in sorted(tracks.items()):
        if names.hides(identity):
            continue
        track.name = names.name(identity) or (NOBODY if names.recognised else None)
        known = people.setdefault(track.label, track)
        if known is not track:
            known.absorb(track)
    return {person.identity: person for person in people.values()}


def _columns_of(name: str) -> Iterator[str]:
    return (f"{name}_{figure}" for figure in ("share", "mean", "peak", "peak_time"))
