"""Pulls a source through a pipeline into sinks; what one of them cannot do costs the others nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import NamedTuple

from cmaen.errors import OutputError
from cmaen.inference.annotate import annotate
from cmaen.inference.pipeline import Pipeline
from cmaen.inference.readahead import ahead
from cmaen.inference.sinks import Quit, Sink
from cmaen.inference.sources import Source
from cmaen.types import Result

log = logging.getLogger(__name__)


class Summary(NamedTuple):
    """How much was seen.

    Attributes:
        frames: Or still pictures.
        faces: In all of them.
        people: Different ones, of a video.
        errors: Frames without an answer.
        seconds: The time of a video's last frame.
    """

    frames: int
    faces: int
    people: int
    errors: int
    seconds: float


def run(
    source: Source,
    pipeline: Pipeline,
    sinks: Sequence[Sink],
    *,
    progress: Callable[[Iterable[Result]], Iterable[Result]] = iter,
) -> Summary:
    """Take every frame of a source to its end, or to where somebody has seen enough.

    A sink that fails is said and left out; the others go on, and are whole at the end. Ctrl-C ends a video, and what
    was found so far is kept; a folder is left for ``resume``.

    Args:
        source: Closed at the end.
        pipeline: Makes the results, in a thread of its own.
        sinks: All in this thread; closed at the end.
        progress: Wraps the results.

    Raises:
        OutputError: A sink has failed; the message names each that has.
        VideoError: There is not one frame.
    """
    counts = {"frames": 0, "faces": 0, "errors": 0}
    people: set[int | None] = set()
    seconds = 0.0
    working = _Sinks(sinks)
    size = 1 if source.live else 4
    results = ahead(pipeline.results(source, keep_images=working.draw), _itself, size=size)
    try:
        with closing(results):
            try:
                for result in progress(results):
                    counts["frames"] += 1
                    counts["faces"] += len(result.faces)
                    counts["errors"] += result.error is not None
                    people.update(face.identity for face in result.faces)
                    seconds = result.frame.time or 0.0
                    working.write(result)
            except Quit:
                pass
            except KeyboardInterrupt:
                if not source.moving:
                    raise
                log.warning("stopped after %d frames; what was found so far is kept", counts["frames"])
        working.finish()
    finally:
        working.close()
        source.close()
    return Summary(**counts, people=len(people - {None}), seconds=seconds)


class _Sinks:
    """The sinks that still work."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._all = sinks
        self._working = list(sinks)
        self._failures: list[OutputError] = []

    @property
    def draw(self) -> bool:
        """Whether one of them needs frames with their faces drawn."""
        return any(sink.draws for sink in self._working)

    def write(self, result: Result) -> None:
        """Hand a result to each; the faces are drawn once for all."""
        drawn = None
        if self.draw and result.frame.image is not None:
            drawn = annotate(result.frame.image, [face.as_dict() for face in result.faces])
        self._each(lambda sink: sink.write(result, drawn))
        if self._failures and not self._working:
            raise self._failure()

    def finish(self) -> None:
        """Make each whole."""
        self._each(lambda sink: sink.finish())
        if self._failures:
            raise self._failure()

    def close(self) -> None:
        """Let go of all."""
        for sink in self._all:
            sink.close()

    def _each(self, call: Callable[[Sink], None]) -> None:
        for sink in tuple(self._working):
            try:
                call(sink)
            except OutputError as error:  # noqa: PERF203 - each fails alone
                log.warning("%s", error)
                sink.close()
                self._working.remove(sink)
                self._failures.append(error)

    def _failure(self) -> OutputError:
        return OutputError("; ".join(map(str, self._failures)))


def _itself(result: Result) -> Result:
    return result
