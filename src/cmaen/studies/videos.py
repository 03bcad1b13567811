"""Recordings of videos that have not been analysed yet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from cmaen.inference.people.circle import Circle
from cmaen.inference.people.films import FilmPeople
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.run import run
from cmaen.inference.sinks.records import RecordSink
from cmaen.inference.sources import open_source
from cmaen.recordings.recording import Recording, read_recordings
from cmaen.results import Result


def record_video(
    video: Path,
    pipeline: FacePipeline,
    circle: Circle | None = None,
    *,
    progress: Callable[[Iterable[Result]], Iterable[Result]] = iter,
) -> Recording:
    """Analyse a video from beginning to end. Its results are kept in a file until then, so that memory stays small.

    Args:
        video: Path of the video.
        pipeline: Pipeline that makes the results.
        circle: People who are known, shared by all videos of a study; ``None``: people are not recognised.
        progress: Wrapper around the results that shows the progress.

    Raises:
        VideoError: The video cannot be read, or has no frames.
        DataError: None of its frames has an answer.
        MissingExtraError: The extra ``video`` is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        results, settle = Path(folder) / "results.jsonl", None
        if circle is not None:
            people = FilmPeople(circle)
            pipeline, settle = replace(pipeline, people=people), people.settle
        table = RecordSink(results, settle=settle)
        run(open_source("video", str(video)), pipeline, [table], progress=progress, settle=settle)
        (recording,) = read_recordings(results)
    return recording
