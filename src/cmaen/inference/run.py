"""Runs a source through a pipeline into sinks; the failure of one sink does not affect the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import NamedTuple

from cmaen.drawing.steadying import Memory
from cmaen.drawing.style import draw_faces
from cmaen.errors import OutputError, PredictionError, describe, guard
from cmaen.inference.anonymising import Anonymiser
from cmaen.inference.people.naming import Settle
from cmaen.inference.pipeline import Pipeline
from cmaen.inference.readahead import Weight, ahead
from cmaen.inference.sinks import Needs, Quit, Sink
from cmaen.inference.sources import Source
from cmaen.results import Result

log = logging.getLogger(__name__)
_PIXELS_WAITING = 32_000_000


class Summary(NamedTuple):
    """Totals of a run.

    Attributes:
        frames: Number of frames or still images.
        faces: Number of faces in all of them.
        people: Number of different people: of recognised ones, or of tracks in a video.
        errors: Number of frames without an answer.
        seconds: Time of a video's last frame.
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
    anonymiser: Anonymiser | None = None,
    settle: Settle | None = None,
) -> Summary:
    """Process every frame of a source until its end, or until the user quits.

    A sink that fails is logged and dropped; the others continue and are finished properly. Ctrl-C ends a video, and the
    results so far are kept; with a folder it interrupts the run, which ``resume`` can continue.

    Args:
        source: Source of the frames; closed at the end.
        pipeline: Pipeline that makes the results, in a thread of its own.
        sinks: Sinks, all called in this thread; closed at the end.
        progress: Wrapper around the results that shows the progress.
        anonymiser: Hides the faces before any sink is given the pixels; ``None`` to leave them as they are.
        settle: Returns the final names of people; ``None`` if people are not recognised.

    Raises:
        OutputError: A sink has failed; the message names each one that has.
        VideoError: The video has no frames.
    """
    counts = {"frames": 0, "faces": 0, "errors": 0}
    people: set[int | str | None] = set()
    seconds = 0.0
    working = _Sinks(sinks, anonymiser)
    size = 1 if source.live else 4
    made = pipeline.results(source, keep_images=working.needs >= Needs.PIXELS)
    results = ahead(made, _itself, size=size, weigh=_weight, most=_PIXELS_WAITING)
    try:
        with closing(results):
            try:
                for result in progress(results):
                    counts["frames"] += 1
                    counts["faces"] += len(result.faces)
                    counts["errors"] += result.error is not None
                    people.update(face.person if face.identity is None else face.identity for face in result.faces)
                    seconds = result.frame.time or 0.0
                    working.write(result)
            except Quit:
                pass
            except KeyboardInterrupt:
                if not source.moving:
                    raise
                log.warning("stopped after %d frames; the results so far are kept", counts["frames"])
        working.finish()
    finally:
        working.close()
        source.close()
    if settle is not None and (names := settle()).recognised:
        people = {names.name(one) if isinstance(one, int) else names.name(None, one) for one in people}
    return Summary(**counts, people=len(people - {None}), seconds=seconds)


class _Sinks:
    """The sinks that have not failed."""

    def __init__(self, sinks: Sequence[Sink], anonymiser: Anonymiser | None) -> None:
        self._all = sinks
        self._anonymiser = anonymiser
        self._memory = Memory()
        self._working = list(sinks)
        self._failures: list[OutputError] = []

    @property
    def needs(self) -> Needs:
        """The needs of the most demanding sink."""
        return max((sink.needs for sink in self._working), default=Needs.RECORDS)

    def write(self, result: Result) -> None:
        """Pass each sink what it needs of a result, or hold the result back until its faces can be hidden."""
        for ready in (result,) if self._anonymiser is None else self._anonymiser.add(result):
            self._pass_on(ready)

    def _pass_on(self, result: Result) -> None:
        """Pass each sink what it needs of a result; the faces are drawn once for all."""
        drawn = None
        if self.needs >= Needs.DRAWING and result.frame.image is not None:
            try:
                with guard(PredictionError, f"{result.frame.name} cannot be drawn"):
                    faces = [face.to_dict() for face in result.faces]
                    moving = result.frame.time is not None
                    memory = self._memory if moving else None
                    drawn = draw_faces(result.frame.image, faces, ticker=moving, memory=memory)
            except PredictionError as error:
                log.warning("%s", error)
        record = result if result.frame.image is None else replace(result, frame=replace(result.frame, image=None))

        def write(sink: Sink) -> None:
            shown = record if sink.needs < Needs.PIXELS else result
            sink.write(shown, drawn if sink.needs >= Needs.DRAWING else None)

        self._each(write)
        if self._failures and not self._working:
            raise self._failure()

    def finish(self) -> None:
        """Pass on what is still held back, and finish every sink."""
        if self._anonymiser is not None:
            with suppress(Quit):  # the user has quit already, or does so now
                for ready in self._anonymiser.finish():
                    self._pass_on(ready)
        self._each(lambda sink: sink.finish())
        if self._failures:
            raise self._failure()

    def close(self) -> None:
        """Close every sink, including failed ones."""
        for sink in self._all:
            _let_go(sink)

    def _each(self, call: Callable[[Sink], None]) -> None:
        for sink in tuple(self._working):
            try:
                call(sink)
            except Quit:  # noqa: PERF203 - the sinks fail independently
                raise
            except Exception as problem:
                error = OutputError(f"{type(sink).__name__} fails: {describe(problem)}")
                if isinstance(problem, OutputError):
                    error = problem
                log.warning("%s", error)
                log.debug("%s", error, exc_info=problem)
                _let_go(sink)
                self._working.remove(sink)
                self._failures.append(error)

    def _failure(self) -> OutputError:
        return OutputError("; ".join(map(str, self._failures)))


def _let_go(sink: Sink) -> None:
    """Close a sink, and log a failure to do so."""
    try:
        sink.close()
    except Exception as problem:
        log.warning("%s cannot be closed: %s", type(sink).__name__, describe(problem))


def _weight(result: Result) -> Weight:
    """Weigh a result that waits for the sinks by its pixels."""
    image = result.frame.image
    pixels = 0 if image is None else image.shape[0] * image.shape[1]
    return Weight(pixels, pixels)


def _itself(result: Result) -> Result:
    return result
