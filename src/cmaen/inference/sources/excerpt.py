"""The selection of frames of a video, by their times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

EXACT = 0.0005
"""Half the resolution of a clock in milliseconds, as many containers have it: a frame that the container puts at 0.333
seconds is the one at a third of a second."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Excerpt:
    """Frames at regular moments between two times.

    ``Excerpt(every=0.5)`` selects the frame that is nearest to each half second, whatever the frame rate is and whether
    it varies. No frame is selected twice: where frames are rarer than that, all of them are selected.

    Attributes:
        every: Seconds between two selected frames, counted from ``start``; 0 for all frames.
        start: First moment, in seconds of the video.
        end: Last moment, in seconds of the video; ``None`` for the video's end.
        every_frame: Select only every n-th frame, counted from the beginning of the video; 1 for all frames.

    Raises:
        ValueError: A value is out of its range, ``end`` is not after ``start``, or both ``every`` and ``every_frame``
            are given.
    """

    every: float = 0.0
    start: float = 0.0
    end: float | None = None
    every_frame: int = 1

    def __post_init__(self) -> None:
        if not (self.every >= 0 and math.isfinite(self.every)):
            raise ValueError(f"every must be 0 seconds (every frame) or more, not {self.every}")
        if self.every_frame < 1:
            raise ValueError(f"every_frame must be at least 1 (every frame), not {self.every_frame}")
        if self.every and self.every_frame > 1:
            raise ValueError("every (in seconds) and every_frame (in frames) must not be given together")
        if not (self.start >= 0 and math.isfinite(self.start)):
            raise ValueError(f"start must be 0 seconds or more, not {self.start}")
        if self.end is not None and not self.end > self.start:
            raise ValueError(f"end must be later than start ({self.start:g} s), not {self.end:g} s")

    def select(self, frames: Iterable[tuple[int, float, _T]], *, live: bool = False) -> Iterator[tuple[int, float, _T]]:
        """Select frames, each given by its number from 0, its time in seconds, and anything else.

        Args:
            frames: Frames in the order of their times. It is not asked for more of them once the end is reached.
            live: Whether no frame may wait for the next one: the first frame after each moment is then selected in
                place of the nearest one.
        """
        inside = self._cut(frames)
        if not self.every:
            return (frame for frame in inside if frame[0] % self.every_frame == 0)
        return self._choose_first(inside) if live else self._choose_nearest(inside)

    def estimate(self, frames: int, rate: float) -> int:
        """Estimate how many frames are selected of a video with so many frames and this average rate."""
        if self.every:
            return min(frames, math.ceil(frames / (rate * self.every)))
        return math.ceil(frames / self.every_frame)

    def _cut(self, frames: Iterable[tuple[int, float, _T]]) -> Iterator[tuple[int, float, _T]]:
        """Leave out the frames before the start, and stop after the end."""
        for frame in frames:
            if self.end is not None and frame[1] > self.end + EXACT:
                return
            if frame[1] >= self.start - EXACT:
                yield frame

    def _choose_first(self, frames: Iterable[tuple[int, float, _T]]) -> Iterator[tuple[int, float, _T]]:
        last = -1
        for frame in frames:
            moment = self._count_moments(frame[1] + EXACT)
            if moment > last:
                last = moment
                yield frame

    def _choose_nearest(self, frames: Iterable[tuple[int, float, _T]]) -> Iterator[tuple[int, float, _T]]:
        """Choose each frame that is the nearest one to a moment: one that lies between the middles to its neighbours.

        One frame is held back until the next one is there.
        """
        held: tuple[int, float, _T] | None = None
        last = -1  # the number of the last moment that belongs to a frame before the held one
        gap = 0.0
        for frame in frames:
            if held is not None:
                gap = frame[1] - held[1]
                moment = self._count_moments(held[1] + gap / 2)
                if moment > last or last < 0:
                    yield held
                last = max(moment, 0)
            held = frame
        if held is not None and (last < 0 or self._count_moments(held[1] + gap / 2) > last):
            yield held

    def _count_moments(self, time: float) -> int:
        """Return the number of the last moment until a time, from 0."""
        return math.floor((time - self.start) / self.every)


WHOLE = Excerpt()
"""All frames."""
