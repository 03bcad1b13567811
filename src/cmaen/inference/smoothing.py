"""Smoothing of the answers of a video over a window of time, and how much surer a smoothed answer is.

Each frame of a file gets the mean of its face's answers from half a window before it to half a window after it, so that
nothing is shifted in time. That depends on times alone, not on how many frames there are in a second. A live source
cannot wait for what comes: its answers fade, see :meth:`cmaen.inference.tracking.Track.update`.

The mean of independent answers is right more often than its probabilities say: measured on sequences of FER2013's
validation faces, nine of one label are right almost always at a mean confidence of 89 %. The mean of nine pictures of
the same face is not. So the confidence is raised by the number of independent answers that the mean is worth, which
follows from how the answers vary: as much as those to different faces of one label do, or less. Answers that drift or
jump, as when an expression changes, are worth one. (``examples/measure_smoothing.py``, ``docs/figures/video.md``.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cmaen.types import Frame

SPREAD = 0.095
"""Variance of the answers to different faces of one label, summed over the classes: that of the shipped network on
FER2013's validation faces."""
MOST = 30.0
"""Largest number of independent answers that is counted; the confidence is 1 long before."""
_PARTS = 4
"""Number of parts of a window that are compared, to see a change within it."""
_EDGE = 0.002
"""Seconds by which an answer may lie outside of a window, for clocks in milliseconds."""
_PIXELS = 100_000_000
"""Pixels of frames that may wait for later answers, 300 MB; of large frames, fewer are waited for."""


class Smoothed(NamedTuple):
    """A smoothed answer.

    Attributes:
        probabilities: Mean probabilities, float64 [C].
        independent: Number of independent answers that the mean is worth, at least 1.
    """

    probabilities: NDArray[np.float64]
    independent: float


@dataclass(eq=False)
class Stretch:
    """The answers to one face during a time in which it was followed without interruption.

    Attributes:
        answers: Times in seconds, in order, and probabilities, float64 [C] each.
    """

    answers: deque[tuple[float, NDArray[np.float64]]] = field(default_factory=deque)

    def add(self, probabilities: NDArray[np.float64], time: float) -> None:
        """Add an answer, which is later than the others."""
        self.answers.append((time, probabilities))

    def smooth(self, time: float, window: float) -> Smoothed | None:
        """Average the answers within half a window of a time, or take the last one before; ``None`` if there is none.

        Answers that no later time can need are forgotten. One that is no number is left out if there are others.
        """
        answers, reach = self.answers, window / 2 + _EDGE
        while len(answers) > 1 and answers[0][0] < time - reach and answers[1][0] <= time:
            answers.popleft()
        near = [row for at, row in answers if abs(at - time) <= reach] or [row for _, row in list(answers)[:1]]
        if not near:
            return None
        rows = np.stack(near)  # [N, C]
        whole = np.isfinite(rows).all(axis=1)
        rows = rows[whole] if whole.any() else rows[:1]
        return Smoothed(rows.mean(axis=0), count_independent(rows))


def count_independent(rows: NDArray[np.float64]) -> float:
    """Estimate how many independent answers the mean of some is worth, from 1 to :data:`MOST`.

    The answers' variance, relative to :data:`SPREAD`, says how much they depend on each other, and the design effect of
    that correlation says what the mean is worth (Kish, "Survey Sampling", 1965). The variance of the means of a few
    parts of the window, one after the other, is an upper limit: it is large if the answers change within it.

    Args:
        rows: Probabilities in the order of their times, float64 [N, C].
    """
    count = len(rows)
    if count < 2:
        return 1.0
    correlation = max(0.0, 1 - float(rows.var(axis=0, ddof=1).sum()) / SPREAD)
    worth = count / (1 + (count - 1) * correlation)
    parts = np.stack([part.mean(axis=0) for part in np.array_split(rows, min(_PARTS, count))])  # [P, C]
    error = float(parts.var(axis=0, ddof=1).sum()) / len(parts)
    return float(np.clip(min(worth, SPREAD / max(error, 1e-12)), 1.0, MOST))


class Waiting(Protocol):
    """What waits for later answers: something about a frame.

    Attributes:
        frame: The frame, with its pixels if they are needed.
        time: Time of the frame, in seconds.
    """

    @property
    def frame(self) -> Frame: ...  # noqa: D102 - see above

    @property
    def time(self) -> float: ...  # noqa: D102


_Waiting = TypeVar("_Waiting", bound=Waiting)


def hold_back(seen: Iterable[_Waiting], seconds: float) -> Iterator[_Waiting]:
    """Yield each frame as soon as one is there that is so many seconds later, or all have come.

    The memory that waits is limited: earlier, if many large frames wait.
    """
    held: deque[_Waiting] = deque()
    pixels = 0
    for one in seen:
        held.append(one)
        pixels += _count_pixels(one)
        while held and (one.time - held[0].time >= seconds + _EDGE or one.time < held[0].time or pixels > _PIXELS):
            pixels -= _count_pixels(held[0])
            yield held.popleft()
    yield from held


def _count_pixels(one: Waiting) -> int:
    image = one.frame.image
    return 0 if image is None else image.shape[0] * image.shape[1]
