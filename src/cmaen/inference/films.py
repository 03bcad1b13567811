"""A whole analysed video as one value: the results of every frame, and a timeline of each person."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image as PILImage

from cmaen.inference.anonymising import Anonymiser
from cmaen.inference.people.naming import Names, Settle
from cmaen.inference.pipeline import Pipeline
from cmaen.inference.run import run
from cmaen.inference.sinks import Needs, open_sink
from cmaen.inference.sources import Source
from cmaen.results import Result
from cmaen.types import Image

if TYPE_CHECKING:
    import pandas

    from cmaen.recordings.recording import Recording


@dataclass(frozen=True, slots=True)
class AnalysedVideo:
    """The results of a video. A notebook displays the timeline of each person.

    Attributes:
        results: One result for each analysed frame, without pixels.
        lanes: Timeline of each person's emotions, as a PNG.
        people: Number of different people seen.
        seconds: Time of the last frame.
    """

    results: tuple[Result, ...]
    lanes: bytes
    people: int
    seconds: float

    def __repr__(self) -> str:
        return f"AnalysedVideo({len(self.results)} frames, {self.seconds:.1f} s, people: {self.people})"

    def plot(self) -> PILImage.Image:
        """Open the timeline of each person as a PIL image: ``film.plot().save("people.png")``."""
        return PILImage.open(BytesIO(self.lanes))

    def to_pandas(self) -> pandas.DataFrame:
        """Make a pandas data frame with one row for each face of each frame, see :func:`cmaen.to_pandas`."""
        from cmaen.tabulation import make_frame

        return make_frame(result.to_record() for result in self.results)

    def to_recording(self) -> Recording:
        """Make a recording, for :func:`~cmaen.recordings.episodes.find_episodes` and the writers of episodes."""
        from cmaen.recordings.recording import make_recordings
        from cmaen.tabulation import rows

        everything = (row for result in self.results for row in rows(result.to_record()))
        (recording,) = make_recordings(everything, "the video")
        return recording

    def _repr_png_(self) -> bytes:
        """Display the timeline in a notebook."""
        return self.lanes


class _ListSink:
    """Keeps the results of a video in memory; there are many, but each is small."""

    needs = Needs.RECORDS

    def __init__(self, settle: Settle | None) -> None:
        self.results: list[Result] = []
        self._settle = settle

    def write(self, result: Result, drawn: Image | None) -> None:
        """See :class:`~cmaen.inference.sinks.base.Sink`."""
        self.results.append(result)

    def finish(self) -> None:
        """Give recognised people their final names."""
        if self._settle is not None:
            names = self._settle()
            self.results = [_rename(result, names) for result in self.results]

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _rename(result: Result, names: Names) -> Result:
    faces = (face for face in result.faces if not names.hides(face.identity))
    return replace(result, faces=tuple(replace(face, person=names.name(face.identity)) for face in faces))


def analyse_video(
    source: Source,
    pipeline: Pipeline,
    *,
    progress: Callable[[Iterable[Result]], Iterable[Result]] = iter,
    anonymiser: Anonymiser | None = None,
    settle: Settle | None = None,
) -> AnalysedVideo:
    """Analyse a video from beginning to end.

    Args:
        source: Frames of the video; closed at the end.
        pipeline: Pipeline that produces the results.
        progress: Wrapper around the results that shows the progress.
        anonymiser: Hides the faces of the portraits; ``None`` to show them.
        settle: Returns the final names of people; ``None`` if people are not recognised.

    Raises:
        VideoError: The video has no frames.
        MissingExtraError: The extra that draws the timeline is not installed.
    """
    kept = _ListSink(settle)
    with tempfile.TemporaryDirectory() as folder:
        lanes = Path(folder) / "lanes.png"
        sinks: list[Any] = [kept, open_sink("timeline", lanes, settle=settle)]
        summary = run(source, pipeline, sinks, progress=progress, anonymiser=anonymiser, settle=settle)
        picture = lanes.read_bytes()
    return AnalysedVideo(tuple(kept.results), picture, summary.people, summary.seconds)
