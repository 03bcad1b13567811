"""``cmaen inference --video`` and ``--real-time``: faces in moving pictures."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cmaen.cli.console import extra, progress
from cmaen.files import replacing

if TYPE_CHECKING:
    from cmaen.inference.predictor import EmotionPredictor

_CAMERA_RATE = 30


@dataclass(frozen=True, slots=True)
class Targets:
    """What becomes of the faces: rows in a file, a video with them drawn, a timeline, a window."""

    output: Path | None = None
    video: Path | None = None
    timeline: Path | None = None
    display: bool = False


def watch_all(source: int | str, predictor: EmotionPredictor, targets: Targets, smoothing: float) -> None:
    """Watch a video to its end, or a camera, by its index, until it or somebody stops."""
    with extra("video", "video"):
        from cmaen.inference.camera import Camera, Window
        from cmaen.inference.video import VideoAnalyser, VideoReader, VideoWriter
        from cmaen.inference.watch import check_rows, watch

    if targets.output is not None:
        check_rows(targets.output)
    with ExitStack() as stack:
        reader = Camera(source) if isinstance(source, int) else VideoReader(source)
        stack.callback(reader.close)
        window = None
        if targets.display:
            window = Window()
            stack.callback(window.close)
        writer = None
        if targets.video is not None:
            path = stack.enter_context(replacing(targets.video))
            if isinstance(reader, VideoReader):
                writer = VideoWriter(path, rate=reader.rate, time_base=reader.time_base, sound=reader.source)
            else:
                writer = VideoWriter(path, rate=_CAMERA_RATE, time_base=Fraction(1, 1000))
        total = reader.frames if isinstance(reader, VideoReader) else None
        started = time.perf_counter()
        seen = watch(
            progress(reader, "frames", total),
            VideoAnalyser(predictor, smoothing=smoothing),
            output=targets.output,
            video=writer,
            timeline=targets.timeline,
            window=window,
        )
    rate = seen.frames / max(time.perf_counter() - started, 1e-9)
    typer.echo(
        f"{seen.frames} frames ({seen.seconds:.1f} s), {seen.faces} faces, {seen.people} people; "
        f"{rate:.1f} frames a second"
    )
