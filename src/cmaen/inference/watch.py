"""Watching a video or a camera: every frame is analysed, and what is found is shown and written as it comes.

Reading, analysing and writing run in threads of their own.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cmaen.errors import MissingExtraError, OutputError
from cmaen.files import replacing
from cmaen.inference.annotate import annotate
from cmaen.inference.camera import Camera, Window
from cmaen.inference.pipeline import Behind, ahead
from cmaen.inference.predictor import EmotionPredictor
from cmaen.inference.video import (
    SMOOTHING,
    AnalysedFrame,
    Frame,
    TrackedFace,
    VideoAnalyser,
    VideoReader,
    VideoWriter,
)
from cmaen.types import EMOTIONS, Image

ROW_FORMATS = (".csv", ".jsonl")
ROW_COLUMNS = (
    "frame", "time", "identity", "x", "y", "width", "height", "predicted_emotion", "confidence", *EMOTIONS,
)  # fmt: skip

log = logging.getLogger(__name__)


class Display(Protocol):
    """Where frames are shown."""

    def show(self, image: Image) -> bool:
        """Show an RGB picture; ``False`` when somebody wants to stop."""
        ...


class Seen(NamedTuple):
    """How much was watched: frames, faces in them, different people, and the time of the last frame in seconds."""

    frames: int
    faces: int
    people: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Found:
    frame: Frame
    faces: tuple[TrackedFace, ...]

    def drawn(self) -> Image:
        """The frame with its faces drawn."""
        return annotate(self.frame.image, [face.as_dict() for face in self.faces])


def watch(
    frames: Iterable[Frame],
    analyser: VideoAnalyser,
    *,
    output: Path | None = None,
    video: VideoWriter | None = None,
    timeline: Path | None = None,
    window: Display | None = None,
) -> Seen:
    """Analyse frames until they end, the window is closed, or Ctrl-C is pressed; what was found so far is kept.

    Args:
        frames: In their order.
        analyser: Finds and judges their faces.
        output: A ``.csv`` or ``.jsonl`` file with one row a face and frame.
        video: Takes the frames with the faces drawn.
        timeline: A picture of each person's emotions over time; its suffix names the format.
        window: Shows the frames with the faces drawn.

    Raises:
        OutputError: Something cannot be written.
        VideoError: There is not one frame.
    """
    people: set[int] = set()
    count = faces = 0
    seconds = 0.0
    with ExitStack() as stack:
        write_rows = stack.enter_context(_rows(output)) if output is not None else None
        drawing = stack.enter_context(_drawn_into(timeline)) if timeline is not None else None
        written = None
        if video is not None:
            stack.enter_context(video)
            written = stack.enter_context(Behind[_Found](partial(_write, video)))
        source = stack.enter_context(closing(ahead(frames)))
        try:
            for frame in source:
                found = _Found(frame, analyser(frame.image, frame.time))
                count, faces, seconds = count + 1, faces + len(found.faces), frame.time
                people.update(face.identity for face in found.faces)
                if write_rows is not None:
                    write_rows(found)
                if drawing is not None:
                    drawing.add(frame.time, found.faces)
                if written is not None:
                    written.put(found)
                if window is not None and not window.show(found.drawn()):
                    break
        except KeyboardInterrupt:
            log.warning("stopped after %d frames; what was found so far is kept", count)
    return Seen(count, faces, len(people), seconds)


@contextmanager
def opened(source: int | str | Path) -> Generator[Camera | VideoReader, None, None]:
    """A camera, by its index, or a video, which is let go of at the end of the ``with`` block.

    Raises:
        VideoError: It cannot be opened.
    """
    reader = Camera(source) if isinstance(source, int) else VideoReader(source)
    try:
        yield reader
    finally:
        reader.close()


@contextmanager
def analysed(
    source: int | str | Path, predictor: EmotionPredictor, *, smoothing: float = SMOOTHING
) -> Generator[Iterator[AnalysedFrame], None, None]:
    """The frames of a camera or a video with their faces, see :meth:`EmotionPredictor.video`."""
    analyser = VideoAnalyser(predictor, smoothing=smoothing)
    with opened(source) as reader, closing(ahead(reader)) as frames:
        yield (
            AnalysedFrame(*frame, [face.as_dict() for face in analyser(frame.image, frame.time)]) for frame in frames
        )


def watch_source(
    source: int | str | Path,
    predictor: EmotionPredictor,
    *,
    output: Path | None = None,
    save_video: Path | None = None,
    timeline: Path | None = None,
    display: bool = False,
    smoothing: float = SMOOTHING,
    progress: Callable[[Iterable[Frame], int | None], Iterable[Frame]] = lambda frames, _: frames,
) -> Seen:
    """Watch a camera, by its index, or a video to its end; see :func:`watch`.

    Args:
        source: Index of a camera, or a file or an address.
        predictor: Finds faces and judges them.
        output, timeline: See :func:`watch`.
        save_video: A video with the faces drawn; that of a file has its times and its sound.
        display: Show the frames in a window.
        smoothing: See :class:`~cmaen.inference.video.VideoAnalyser`.
        progress: Wraps the frames; it is given how many there are, if that is known.

    Raises:
        VideoError: The source cannot be opened, or there is no display.
        OutputError: Something cannot be written.
    """
    if output is not None:
        check_rows(output)
    with ExitStack() as stack:
        reader = stack.enter_context(opened(source))
        window = None
        if display:
            window = Window()
            stack.callback(window.close)
        writer = None
        if save_video is not None:
            path = stack.enter_context(replacing(save_video))
            sound = None if isinstance(source, int) else source
            writer = VideoWriter(path, rate=reader.rate, time_base=reader.time_base, sound=sound)
        return watch(
            progress(reader, reader.frames),
            VideoAnalyser(predictor, smoothing=smoothing),
            output=output,
            video=writer,
            timeline=timeline,
            window=window,
        )


def check_rows(path: Path) -> None:
    """Refuse a file for rows whose suffix names no format.

    Raises:
        OutputError: It is none of :data:`ROW_FORMATS`.
    """
    if path.suffix.lower() not in ROW_FORMATS:
        raise OutputError(f"{path}: the faces of a video can be written as {', '.join(ROW_FORMATS)}")


@contextmanager
def _drawn_into(path: Path) -> Generator[Any, None, None]:
    """A timeline that is drawn when the watching ends."""
    try:
        from cmaen.inference.timeline import Timeline
    except ModuleNotFoundError as error:
        raise MissingExtraError("the timeline", "report") from error
    timeline = Timeline()
    yield timeline
    with replacing(path) as temporary:
        timeline.figure().savefig(temporary, bbox_inches="tight", dpi=120)


@contextmanager
def _rows(path: Path) -> Generator[Any, None, None]:
    """A function that writes the rows of a frame; the file takes its place at the end."""
    check_rows(path)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if path.suffix.lower() == ".csv":
            writer = csv.DictWriter(file, ROW_COLUMNS, lineterminator="\n")
            writer.writeheader()
            yield lambda found: writer.writerows(_row(found.frame, face) for face in found.faces)
        else:
            yield lambda found: file.writelines(json.dumps(_row(found.frame, face)) + "\n" for face in found.faces)


def _row(frame: Frame, tracked: TrackedFace) -> dict[str, Any]:
    face = tracked.face.face
    return {
        "frame": frame.number,
        "time": round(frame.time, 4),
        "identity": tracked.identity,
        **{name: round(getattr(face, name), 1) for name in ("x", "y", "width", "height")},
        "predicted_emotion": tracked.face.emotion,
        "confidence": round(tracked.face.confidence, 6),
        **{name: round(value, 6) for name, value in zip(EMOTIONS, tracked.face.probabilities, strict=True)},
    }


def _write(video: VideoWriter, found: _Found) -> None:
    video.write(found.frame._replace(image=found.drawn()))
