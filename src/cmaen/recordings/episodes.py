"""Episodes: stretches of time in which one person shows one emotion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmaen.recordings.recording import LONGEST, NO_ANSWER, Appearance, Recording

SHORTEST = 0.5
"""Seconds that an episode lasts at least; what is shorter is mostly a network in doubt between two emotions."""
BRIDGE = 0.3
"""Seconds of something else, or of nobody, that do not interrupt an episode."""


@dataclass(frozen=True)
class Episode:
    """A stretch of time in which a person shows an emotion.

    Attributes:
        person: Key of the person in :attr:`~cmaen.recordings.recording.Recording.people`.
        emotion: The emotion.
        start, end: Beginning and end in seconds of the video.
        peak: Time at which the emotion was most probable, in seconds of the video.
        height: Its probability then, in [0, 1].
        confidence: Mean confidence of the answers, weighted by their time, in [0, 1].
    """

    person: str
    emotion: str
    start: float
    end: float
    peak: float
    height: float
    confidence: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start


@dataclass
class _Run:
    """Faces ``first`` to ``last`` of a person with the same answer, from one moment to another."""

    answer: int
    first: int
    last: int
    start: float
    end: float


def find_episodes(recording: Recording, *, shortest: float = SHORTEST, bridge: float = BRIDGE) -> list[Episode]:
    """Find the episodes of all people, sorted by beginning and person.

    Args:
        recording: The recording.
        shortest: Seconds that an episode lasts at least; 0 keeps all.
        bridge: Interruptions of up to this many seconds are ignored; 0: none is.

    Raises:
        ValueError: A number of seconds is negative or not finite.
    """
    for name, value in (("shortest", shortest), ("bridge", bridge)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} must be 0 or more seconds, not {value}")
    found = [
        _describe(recording, person, appearance, run)
        for person, appearance in recording.people.items()
        for run in _join(_find_runs(recording, appearance), bridge)
        if run.end - run.start >= shortest
    ]
    return sorted(found, key=lambda episode: (episode.start, episode.person))


def _find_runs(recording: Recording, appearance: Appearance) -> list[_Run]:
    """Find the runs of equal answers; a gap in time ends a run, and so does an answer that is uncertain."""
    if not len(appearance):
        return []
    starts = recording.times[appearance.frames]
    ends = starts + recording.durations[appearance.frames]
    new_answer = np.diff(appearance.answers) != 0
    gap = np.diff(starts) > LONGEST * recording.interval * (1 + 1e-9)
    absent = np.diff(appearance.frames) > 1
    borders = np.flatnonzero(new_answer | gap | absent) + 1
    firsts, lasts = [0, *borders.tolist()], [*(borders - 1).tolist(), len(starts) - 1]
    runs = (
        _Run(int(appearance.answers[first]), first, last, float(starts[first]), float(ends[last]))
        for first, last in zip(firsts, lasts, strict=True)
    )
    return [run for run in runs if run.answer != NO_ANSWER]


def _join(runs: list[_Run], bridge: float) -> list[_Run]:
    """Join runs of one emotion between which there is at most ``bridge``; what lies between them is dropped."""
    joined: list[_Run] = []
    for run in runs:
        place = len(joined) - 1
        while place >= 0 and run.start - joined[place].end <= bridge and joined[place].answer != run.answer:
            place -= 1
        if place >= 0 and run.start - joined[place].end <= bridge:
            del joined[place + 1 :]
            joined[place].last, joined[place].end = run.last, run.end
        else:
            joined.append(run)
    return joined


def _describe(recording: Recording, person: str, appearance: Appearance, run: _Run) -> Episode:
    faces = np.arange(run.first, run.last + 1)
    faces = faces[appearance.answers[faces] == run.answer]
    heights = appearance.probabilities[faces, run.answer]
    best = int(np.argmax(heights))
    frames = appearance.frames[faces]
    weights = recording.durations[frames]
    return Episode(
        person=person,
        emotion=recording.labels[run.answer],
        start=run.start,
        end=run.end,
        peak=float(recording.times[frames[best]]),
        height=float(heights[best]),
        confidence=float(np.average(appearance.confidence[faces], weights=weights if weights.any() else None)),
    )
