"""Going on with a video whose run was interrupted.

The records that there are stay. The video is read again from a little before a full minute, at which every run does
everything that it otherwise does now and then, see :data:`cmaen.inference.tracking.MINUTE`. What is seen there a second
time is not written: it restores the tracks, their answers for the smoothing, and who is who, because a face has the
number of the recorded face in the same place of the same frame. From the first new frame on, the results are those of a
run that was not interrupted, unless a face was out of sight, or a scene changed slowly, just before that minute.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from cmaen.inference.pipeline import Pipeline
from cmaen.inference.sinks import Needs
from cmaen.inference.sinks.records import RecordSink
from cmaen.inference.sources import Source
from cmaen.inference.tracking import MEMORY, MINUTE, SLOWLY, overlap
from cmaen.results import Face, Result
from cmaen.types import Image

_BEFORE = MEMORY + SLOWLY
"""Seconds that are read before the full minute: what the tracks remember."""
_SAME = 0.5
"""Overlap from which a face is taken for the recorded one in the same frame."""

Records = Iterable[Mapping[str, Any]]


def find_start(last: float, smoothing: float) -> float:
    """Find the time from which a video is read again, in seconds, at least 0.

    Args:
        last: Time of the last record.
        smoothing: Window of the smoothing, which reaches back from the first new frame.
    """
    return max(0.0, (last - smoothing / 2) // MINUTE * MINUTE - _BEFORE)


@dataclass
class Numbers:
    """The numbers of the tracks in the interrupted run, for those of this run.

    Attributes:
        highest: Highest number so far; tracks that were not there before go on from it.
    """

    highest: int = 0
    _known: dict[int, int] = field(default_factory=dict)

    def learn(self, faces: Sequence[Face], recorded: Sequence[Face]) -> None:
        """Learn the numbers of a frame that both runs have seen; the last frame with a track decides."""
        free = [face for face in recorded if face.identity is not None]
        for face in faces:
            best = max(free, key=lambda one: overlap(one.box, face.box), default=None)
            if face.identity is None or best is None or overlap(best.box, face.box) < _SAME:
                continue
            free.remove(best)
            assert best.identity is not None
            self._known[face.identity] = best.identity

    def renumber(self, face: Face) -> Face:
        """Return a face with the number of its track in the interrupted run, or the next number."""
        if face.identity is None:
            return face
        if face.identity not in self._known:
            self.highest += 1
            self._known[face.identity] = self.highest
        return replace(face, identity=self._known[face.identity])


@dataclass(frozen=True)
class ResumedPipeline:
    """A pipeline that first repeats the recorded results of a video, and then goes on.

    Attributes:
        pipeline: Pipeline that makes the results.
        read: Reads the records of the interrupted run, in order.
        since: Time from which the source is read again, in seconds.
    """

    pipeline: Pipeline
    read: Callable[[], Records]
    since: float

    def results(self, source: Source, *, keep_images: bool = False) -> Generator[Result, None, None]:
        """See :class:`~cmaen.inference.pipeline.Pipeline`; recorded results have no pixels."""
        numbers, last = Numbers(), -1
        again: dict[int, tuple[Face, ...]] = {}
        for result in map(Result.from_record, self.read()):
            numbers.highest = max(numbers.highest, *(face.identity or 0 for face in result.faces), 0)
            last = result.frame.index
            if (result.frame.time or 0.0) >= self.since:
                again[last] = result.faces
            yield result
        with closing(self.pipeline.results(source, keep_images=keep_images)) as results:
            for result in results:
                if result.frame.index <= last:
                    numbers.learn(result.faces, again.pop(result.frame.index, ()))
                else:
                    yield replace(result, faces=tuple(map(numbers.renumber, result.faces)))


class ChapterSink:
    """The records of one video in a table that outlives it: one that several share, or that a stopped run leaves open.

    Args:
        table: The table.
        recorded: Number of results at the beginning that it already has.

    Attributes:
        is_written: Whether everything that came is in the table, once there is no more.
    """

    needs = Needs.RECORDS

    def __init__(self, table: RecordSink, recorded: int = 0) -> None:
        self.is_written = False
        self._table = table
        self._recorded = recorded

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        if self._recorded:
            self._recorded -= 1
        else:
            self._table.write(result, drawn)

    def finish(self) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`; whoever holds the table knows if the video is complete."""
        self.is_written = True

    def close(self) -> None:
        """Do nothing: the table is somebody else's."""
