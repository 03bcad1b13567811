"""Recordings of videos that have not been analysed yet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from cmaen.inference.pipeline import Pipeline
from cmaen.inference.run import run
from cmaen.inference.sinks import open_sink
from cmaen.inference.sources import open_source
from cmaen.recordings.recording import Recording, read_recordings
from cmaen.results import Result


def record_video(
    video: Path, pipeline: Pipeline, *, progress: Callable[[Iterable[Result]], Iterable[Result]] = iter
) -> Recording:
    """Analyse a video from beginning to end. Its results are kept in a file until then, so that memory stays small.

    Args:
        video: Path of the video.
        pipeline: Pipeline that makes the results.
        progress: Wrapper around the results that shows the progress.

    Raises:
        VideoError: The video cannot be read, or has no frames.
        DataError: None of its frames has an answer.
        MissingExtraError: The extra ``video`` is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        run(open_source("video", str(video)), pipeline, [open_sink("records", results)], progress=progress)
        (recording,) = read_recordings(results)
    return recording
