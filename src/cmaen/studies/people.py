"""What each person of a recording showed: shares of time with intervals, episodes, transitions, and time without."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.evaluation.intervals import Interval
from cmaen.recordings.episodes import Episode, find_episodes
from cmaen.recordings.recording import Appearance, Recording
from cmaen.studies.series import Series, follow
from cmaen.studies.statistics import bound_share, choose_block
from cmaen.types import UNCERTAIN

PAUSE = 2.0
"""Seconds between two episodes up to which one counts as following the other."""
SHORTEST_BLOCK = 1.0
"""Seconds that a block of time lasts at least: answers are smoothed over about as long, so nearer ones are alike."""
_BINS = 2000
"""Number of bins of time into which a recording is divided for intervals, at most."""


@dataclass(frozen=True)
class Share:
    """How much of the time that a person was seen an emotion was the answer.

    Attributes:
        emotion: The emotion, or ``uncertain``.
        seconds: Seconds in which it was the answer.
        share: The same as a share of the time seen, in [0, 1].
        interval: 95 % interval of the share, see :func:`cmaen.studies.statistics.bound_share`; ``None`` if the person
            was seen too shortly.
        mean: Mean probability over the time seen, in [0, 1]; ``None`` for ``uncertain``, which has none.
    """

    emotion: str
    seconds: float
    share: float
    interval: Interval | None
    mean: float | None


@dataclass(frozen=True)
class PersonSummary:
    """What a person of a recording showed.

    Attributes:
        name: Key of the person in :attr:`~cmaen.recordings.recording.Recording.people`.
        labels: Emotions of the recording.
        first, last: When the person was first and last seen, in seconds of the video.
        seconds: Seconds in which the person was seen.
        unsure: Seconds of these in which the confidence was below 50 %, or there was no answer.
        absent: Recorded seconds in which the person was not seen.
        shares: Share of each emotion, in the order of the labels; ``uncertain`` follows if it was ever the answer.
        block: Length in seconds of the blocks that the intervals follow from.
        episodes: Episodes in the order of time.
        transitions: Number of times that an episode of one emotion (down) was followed by one of another (across)
            within :data:`PAUSE` seconds, int64 [E, E].
    """

    name: str
    labels: tuple[str, ...]
    first: float
    last: float
    seconds: float
    unsure: float
    absent: float
    shares: tuple[Share, ...]
    block: float
    episodes: tuple[Episode, ...]
    transitions: NDArray[np.int64]

    @property
    def main(self) -> Share | None:
        """The emotion that was shown for longest; ``None`` if the person was not seen for any time."""
        shown = [share for share in self.shares if share.seconds > 0]
        return max(shown, key=lambda share: share.seconds) if shown else None

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON; all times are in seconds."""
        return {
            "person": self.name,
            "first": self.first,
            "last": self.last,
            "seconds": self.seconds,
            "unsure": self.unsure,
            "absent": self.absent,
            "block": self.block,
            "shares": [
                {
                    "emotion": share.emotion,
                    "seconds": share.seconds,
                    "share": share.share,
                    "interval": None if share.interval is None else list(share.interval),
                    "mean": share.mean,
                }
                for share in self.shares
            ],
            "transitions": {
                first: {second: int(count) for second, count in zip(self.labels, row, strict=True) if count}
                for first, row in zip(self.labels, self.transitions, strict=True)
                if row.any()
            },
            "episodes": [
                {
                    "emotion": episode.emotion,
                    "start": episode.start,
                    "end": episode.end,
                    "peak": episode.peak,
                    "height": episode.height,
                    "confidence": episode.confidence,
                }
                for episode in self.episodes
            ],
        }


@dataclass(frozen=True)
class RecordingSummary:
    """What the people of a recording showed.

    Attributes:
        recording: The recording.
        people: Its people, in its order.
        empty: Recorded seconds without any face.
        missing: Seconds between the first and the last frame that were not recorded.
    """

    recording: Recording
    people: tuple[PersonSummary, ...]
    empty: float
    missing: float

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON; all times are in seconds."""
        return {
            "recording": self.recording.name,
            "scheme": self.recording.scheme,
            "labels": list(self.recording.labels),
            "frames": len(self.recording.times),
            "seconds": self.recording.seconds,
            "without_a_face": self.empty,
            "not_recorded": self.missing,
            "failed_frames": self.recording.failed,
            "rows_left_out": self.recording.left_out,
            "people": [person.to_dict() for person in self.people],
        }


def summarise_recording(recording: Recording) -> RecordingSummary:
    """Summarise what each person of a recording showed."""
    by_person: dict[str, list[Episode]] = {}
    for episode in find_episodes(recording):
        by_person.setdefault(episode.person, []).append(episode)
    covered = np.zeros(len(recording.times), bool)
    for appearance in recording.people.values():
        covered[appearance.frames] = True
    times, seconds = recording.times, recording.seconds
    span = float(times[-1] - times[0] + recording.durations[-1]) if len(times) else 0.0
    return RecordingSummary(
        recording=recording,
        people=tuple(
            _summarise(recording, name, appearance, by_person.get(name, []))
            for name, appearance in recording.people.items()
        ),
        empty=float(recording.durations[~covered].sum()),
        missing=max(span - seconds, 0.0),
    )


def _summarise(recording: Recording, name: str, appearance: Appearance, episodes: Sequence[Episode]) -> PersonSummary:
    series = follow(recording, appearance)
    seconds = float(series.durations.sum())
    block, intervals = _bound_shares(recording, series)
    spent = (series.answered * series.durations[:, None]).sum(axis=0)  # [E + 1]
    means = (series.probabilities * series.durations[:, None]).sum(axis=0) / (seconds or 1.0)  # [E]
    emotions = [*recording.labels, UNCERTAIN] if spent[-1] > 0 else list(recording.labels)
    shares = (
        Share(
            emotion,
            float(spent[place]),
            float(spent[place]) / seconds if seconds else 0.0,
            intervals[place],
            float(means[place]) if place < len(means) else None,
        )
        for place, emotion in enumerate(emotions)
    )
    return PersonSummary(
        name=name,
        labels=recording.labels,
        first=float(series.starts[0]) if len(series.starts) else 0.0,
        last=float(series.starts[-1]) if len(series.starts) else 0.0,
        seconds=seconds,
        unsure=float(series.durations[series.unsure].sum()),
        absent=max(recording.seconds - seconds, 0.0),
        shares=tuple(shares),
        block=block,
        episodes=tuple(episodes),
        transitions=count_transitions(episodes, recording.labels),
    )


def _bound_shares(recording: Recording, series: Series) -> tuple[float, list[Interval | None]]:
    """Compute the length of a block in seconds, and the interval of the share of each answer, E + 1 of them.

    All have the blocks of the answer or probability that needs the longest, since one behaviour makes all of them. The
    probabilities tell how long a face stays alike also where the answer never changes.
    """
    answers = series.answered.shape[1]
    if not series.durations.sum():
        return 0.0, [None] * answers
    start, end = float(series.starts[0]), float(series.starts[-1] + series.durations[-1])
    bins = int(np.clip(np.ceil((end - start) / recording.interval), 1, _BINS))
    edges = np.linspace(start, end, bins + 1)
    shown, seen = (
        series.integrate(series.answered, edges),
        series.integrate(series.seen, edges)[:, 0],
    )  # [B, E + 1], [B]
    values = np.concatenate([shown, series.integrate(series.probabilities, edges)], axis=1)  # [B, 2 E + 1]
    rest = values - values.sum(axis=0) / seen.sum() * seen[:, None]  # [B, 2 E + 1]
    bin_length = (end - start) / bins
    block = max(math.ceil(SHORTEST_BLOCK / bin_length), *(choose_block(column) for column in rest.T))
    return block * bin_length, [bound_share(column, seen, block) for column in shown.T]


def count_transitions(episodes: Sequence[Episode], labels: Sequence[str]) -> NDArray[np.int64]:
    """Count how often an episode of one emotion followed another within :data:`PAUSE` seconds, int64 [E, E].

    Args:
        episodes: Episodes of one person in the order of time.
        labels: All emotions.
    """
    counts = np.zeros((len(labels), len(labels)), np.int64)
    place = {label: number for number, label in enumerate(labels)}
    for first, second in pairwise(episodes):
        if second.emotion != first.emotion and second.start - first.end <= PAUSE:
            counts[place[first.emotion], place[second.emotion]] += 1
    return counts


def list_episodes(summaries: Sequence[RecordingSummary]) -> Iterator[Mapping[str, Any]]:
    """List all episodes as rows of a table."""
    for summary in summaries:
        for person in summary.people:
            for episode in person.to_dict()["episodes"]:
                yield {"recording": summary.recording.name, "person": person.name, **episode}


def list_shares(summaries: Sequence[RecordingSummary]) -> Iterator[Mapping[str, Any]]:
    """List the shares of all people as rows of a table."""
    for summary in summaries:
        for person in summary.people:
            for share in person.shares:
                low, high = share.interval or (None, None)
                yield {
                    "recording": summary.recording.name,
                    "person": person.name,
                    "emotion": share.emotion,
                    "seconds": share.seconds,
                    "share": share.share,
                    "low": low,
                    "high": high,
                    "mean": share.mean,
                    "seen": person.seconds,
                    "unsure": person.unsure,
                    "absent": person.absent,
                }
