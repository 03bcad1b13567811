"""The selection of frames of a video."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Excerpt:
    """Every n-th frame between two times.

    Attributes:
        every: Interval between selected frames, counted from the beginning of the video; 1 for every frame.
        start: First moment, in seconds of the video.
        end: Last moment, in seconds of the video; ``None`` for the video's end.

    Raises:
        ValueError: A value is out of its range, or ``end`` is not after ``start``.
    """

    every: int = 1
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1 (every frame), not {self.every}")
        if not (self.start >= 0 and math.isfinite(self.start)):
            raise ValueError(f"start must be 0 seconds or more, not {self.start}")
        if self.end is not None and not self.end > self.start:
            raise ValueError(f"end must be later than start ({self.start:g} s), not {self.end:g} s")

    def takes(self, number: int, time: float) -> bool:
        """Whether the frame with this number, from 0, and time, in seconds, is selected."""
        return number % self.every == 0 and time >= self.start and not self.is_over(time)

    def is_over(self, time: float) -> bool:
        """Whether no later frame is selected."""
        return self.end is not None and time > self.end


WHOLE = Excerpt()
