"""Which frames of a video are looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Excerpt:
    """Every so many frames, from one time to another.

    Attributes:
        every: 1 for every frame, 2 for every second one, counted from the beginning of the video.
        start: The first moment, in seconds of the video.
        end: The last moment, in seconds of the video; ``None`` for its end.

    Raises:
        ValueError: There is no such part.
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
        """Whether a frame of a number from 0 and a time in seconds is looked at."""
        return number % self.every == 0 and time >= self.start and not self.is_over(time)

    def is_over(self, time: float) -> bool:
        """Whether no later frame is looked at."""
        return self.end is not None and time > self.end


WHOLE = Excerpt()
