"""A whole video as one value that shows itself: what was found in each frame, and the lanes of each person."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image as PILImage

from cmaen.inference.pipeline import Pipeline
from cmaen.inference.run import run
from cmaen.inference.sinks import Needs, open_sink
from cmaen.inference.sources import Source
from cmaen.results import Result
from cmaen.types import Image

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class AnalysedVideo:
    """What was found in a video. In a notebook it shows the lanes of each person.

    Attributes:
        results: One for each frame that was looked at, without pixels.
        lanes: The picture of each person's emotions over time, as a PNG.
        people: How many different ones were seen.
        seconds: The time of the last frame.
    """

    results: tuple[Result, ...]
    lanes: bytes
    people: int
    seconds: float

    def __repr__(self) -> str:
        return f"AnalysedVideo({len(self.results)} frames, {self.seconds:.1f} s, people: {self.people})"

    def plot(self) -> PILImage.Image:
        """The lanes of each person as a PIL image: ``film.plot().save("people.png")``."""
        return PILImage.open(BytesIO(self.lanes))

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame of pandas with a row for each face of each frame, see :func:`cmaen.to_pandas`."""
        from cmaen.tabulation import make_frame

        return make_frame(result.to_record() for result in self.results)

    def _repr_png_(self) -> bytes:
        """For notebooks."""
        return self.lanes


class _ListSink:
    """Keeps the results of a video, which has many frames and few bytes for each."""

    needs = Needs.RECORDS

    def __init__(self) -> None:
        self.results: list[Result] = []

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        self.results.append(result)

    def finish(self) -> None:
        """Nothing is left to do."""

    def close(self) -> None:
        """Nothing is open."""


def analyse_video(
    source: Source, pipeline: Pipeline, *, progress: Callable[[Iterable[Result]], Iterable[Result]] = iter
) -> AnalysedVideo:
    """Look at a video from its beginning to its end.

    Args:
        source: Closed at the end.
        pipeline: Makes the results.
        progress: Wraps them.

    Raises:
        VideoError: There is not one frame.
        MissingExtraError: What draws the lanes is not installed.
    """
    kept = _ListSink()
    with tempfile.TemporaryDirectory() as folder:
        lanes = Path(folder) / "lanes.png"
        sinks: list[Any] = [kept, open_sink("timeline", lanes)]
        summary = run(source, pipeline, sinks, progress=progress)
        picture = lanes.read_bytes()
    return AnalysedVideo(tuple(kept.results), picture, summary.people, summary.seconds)
