"""Processing of one source, from opening it to its outputs, for every verb that predicts."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cmaen.cli.console import escape_for_terminal, extra, progress
from cmaen.cli.options import RAY
from cmaen.cli.recognition import Places, RecognitionOptions
from cmaen.errors import CmaenError
from cmaen.inference.spec import PipelineSpec

if TYPE_CHECKING:
    from cmaen.inference.anonymising import Anonymiser
    from cmaen.inference.detectors import Detector
    from cmaen.inference.people.naming import Settle
    from cmaen.inference.pipeline import Pipeline
    from cmaen.inference.predictor import EmotionPredictor
    from cmaen.inference.run import Summary
    from cmaen.inference.sinks import Sink
    from cmaen.inference.sinks.people import Person
    from cmaen.inference.sinks.records import RecordSink
    from cmaen.inference.sources import Source
    from cmaen.results import Result

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One source, and what is done with it.

    Attributes:
        open: Function that opens the source; it takes the names of pictures to leave out, and the time in seconds
            before which nothing of a video is needed.
        places: Outputs for the results.
        moving: Whether the source is a video or a camera.
        root: Folder of pictures whose structure the folder ``places.annotated`` repeats; ``None`` for a single picture.
        table: Whether to show the answers to pictures in a table.
        window: Whether to show the frames in a window.
        name: Heading of the summary; empty for the only job.
        video: Name of a video that can be resumed; empty for anything else.
        shares: Whether the results go into the table that the jobs share, see :meth:`Recogniser.share_table`.
        stays_open: Whether the results of a video that is stopped are left to be resumed; otherwise they are complete
            with what there is.
        is_complete: Whether the results are there from an earlier run.
    """

    open: Callable[[Container[str], float], Source]
    places: Places
    moving: bool = False
    root: Path | None = None
    table: bool = True
    window: bool = False
    name: str = ""
    video: str = ""
    shares: bool = False
    stays_open: bool = False
    is_complete: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        summary: Counts of frames, faces and errors.
        seconds: Duration of the job, in seconds.
        whole: Whether the source was processed to its end; otherwise, the user stopped it.
    """

    summary: Summary
    seconds: float
    whole: bool

    @property
    def failed(self) -> bool:
        """Whether every picture or frame failed."""
        return self.summary.errors == self.summary.frames > 0


class Recogniser:
    """The pipeline that the options describe; it does jobs one after the other.

    Args:
        options: Options of the verb.
        spec: Description of the pipeline.

    Raises:
        CmaenError: The checkpoint, the detector or the engine cannot be used, or the label scheme does not exist.
    """

    def __init__(self, options: RecognitionOptions, spec: PipelineSpec) -> None:
        self.options = options
        if (notice := options.explain_every()) is not None:
            log.warning(notice)
        spec = spec.fetch()
        card = spec.open_checkpoint().card
        scheme = card.resolve_scheme(spec.scheme)
        self._labels = card.select_labels(scheme, spec.contempt).labels  # raises before anything is loaded
        self._sha256 = card.sha256
        self._spec = spec = replace(spec, scheme=scheme)
        self.predictor: EmotionPredictor | None = None if options.engine == RAY else _build_predictor(spec)
        self._searchers = _build_searchers(spec) if options.anonymise else ()
        self._pipeline = _build_cluster(spec) if self.predictor is None else self.predictor.pipeline
        self._circle = None if self.predictor is None else options.open_circle(self.predictor.pipeline, spec)
        self._table: RecordSink | None = None

    @contextmanager
    def share_table(self, paths: Sequence[Path], *, mixed: bool) -> Iterator[Callable[[], None]]:
        """Open the table that the jobs share, if there is one; yield a function that completes it.

        Args:
            paths: Its files; none, if nothing is shared.
            mixed: Whether there are pictures among the videos.

        Raises:
            CmaenError: The table cannot be written, or holds an unfinished run.
        """
        if not paths:
            yield lambda: None
            return
        table = self._table = self._open_table(paths, moving=True, mixed=mixed)

        def finish() -> None:
            from cmaen.cli.results import show_written

            table.finish()
            show_written(_describe_files(table).items())

        try:
            yield finish
        finally:
            table.close()
            self._table = None

    def is_complete(self, job: Job) -> bool:
        """Whether an interrupted run has finished the job."""
        return job.is_complete or (job.shares and self._table is not None and job.video in self._table.ended)

    def run(self, job: Job) -> Outcome:
        """Process a source, show a summary, and list the files that were written.

        Raises:
            CmaenError: The source cannot be opened or is empty, or a result cannot be written.
        """
        from cmaen.cli.results import (
            TableSink,
            count_frames,
            count_images,
            describe_excluded,
            show_people,
            show_written,
        )
        from cmaen.inference.run import run
        from cmaen.inference.sinks.people import PeopleSink

        places = job.places.list_given()
        before = {path: _state_of(path) for path in places}
        ended = False
        pipeline, settle = self._begin(job)
        with ExitStack() as stack:
            table = self._choose_table(job, stack, settle)
            pipeline, since = self._go_on(job, pipeline, table)
            source, sinks = self._open(job, stack, table, since, settle)
            unit = "frames" if job.moving else "images"
            total = source.count() if sys.stderr.isatty() else None

            def watch(results: Iterable[Result]) -> Iterator[Result]:
                nonlocal ended
                yield from progress(results, unit, total)
                ended = True

            started = time.perf_counter()
            try:
                hide = self._hide_faces(source)
                summary = run(source, pipeline, sinks, progress=watch, anonymiser=hide, settle=settle)
            finally:  # also if another sink has failed
                if ended and table is not None:
                    _complete(job, table, sinks)
            seconds = time.perf_counter() - started
        heading = f"{job.name}: " if job.name else ""
        counts = count_frames(summary, seconds) if job.moving else count_images(summary)
        typer.echo(escape_for_terminal(f"{heading}{counts}"))
        if settle is not None and (text := describe_excluded(settle())):
            typer.echo(text)
        about = {} if table is None or job.shares else _describe_files(table)
        for sink in sinks:
            if isinstance(sink, TableSink) and (text := sink.sum_up()):
                typer.echo(text)
            elif isinstance(sink, PeopleSink):
                people: list[Person] = list(sink.people.values())
                show_people(people)
        places += [path for path in about if path not in before]  # one for each of several videos
        show_written((path, about.get(path, "")) for path in places if _state_of(path) not in (None, before.get(path)))
        return Outcome(summary=summary, seconds=seconds, whole=ended)

    def _hide_faces(self, source: Source) -> Anonymiser | None:
        """Make what hides the faces of a source, if that is wanted."""
        if not self._searchers:
            return None
        from cmaen.inference.anonymising import AHEAD, Anonymiser

        return Anonymiser(
            self._searchers, ahead=0.0 if source.live else AHEAD
        )  # the frames of a live source cannot wait

    def explain(self, picture: str, target: Path) -> None:
        """Draw what the answer to a picture depends on, using the predictor that gave the answer."""
        from cmaen.cli.results import show_written

        assert self.predictor is not None
        kind = {} if self.options.map_kind is None else {"kind": self.options.map_kind}
        typer.echo("explaining the answer …", err=True)
        self.predictor.explain(picture, detect=self.options.detect, **kind).save(target)
        show_written([(target, "")])

    def _begin(self, job: Job) -> tuple[Pipeline, Settle | None]:
        """Return the pipeline for a job, and what tells the final names if people are recognised."""
        if self._circle is None:
            return self._pipeline, None
        from cmaen.inference.people.opening import begin

        assert self.predictor is not None
        people = begin(self._circle, moving=job.moving)
        return replace(self.predictor.pipeline, people=people), people.settle

    def _open_table(self, paths: Sequence[Path], *, moving: bool, mixed: bool = False) -> RecordSink:
        from cmaen.inference.sinks.records import RecordSink

        path, *also = paths
        settings = {**self._settings(), **(self._settings_of_videos() if moving else {})}
        resume = self.options.resume
        return RecordSink(path, also=also, classes=self._labels, settings=settings, resume=resume, mixed=mixed)

    def _choose_table(self, job: Job, stack: ExitStack, settle: Settle | None) -> RecordSink | None:
        """Return the table for the records of a job, which is its own or shared; ``None`` if there is none."""
        table = self._table if job.shares else None
        if not job.shares and job.places.output is not None:
            table = self._open_table((job.places.output, *job.places.also), moving=job.moving)
            stack.callback(table.close)
        if table is not None and settle is not None:
            own = job.video or job.name if job.moving else ""
            table.settles[own if job.shares else None] = settle
        return table

    def _go_on(self, job: Job, pipeline: Pipeline, table: RecordSink | None) -> tuple[Pipeline, float]:
        """Return the pipeline for a job, and the time in seconds from which its video is read."""
        begun = table.begun.get(job.video) if table is not None else None
        if table is None or begun is None:
            return pipeline, 0.0
        from cmaen.inference.resuming import ResumedPipeline, find_start

        since = find_start(begun.time, self._spec.smoothing)
        typer.echo(f"{escape_for_terminal(job.video)} is resumed after {begun.time:.1f} s", err=True)
        return ResumedPipeline(pipeline, partial(table.read_begun, job.video), since), since

    def _open(
        self, job: Job, stack: ExitStack, table: RecordSink | None, since: float, settle: Settle | None
    ) -> tuple[Source, list[Sink]]:
        """Open the source and the sinks; sinks for files and folders come first: they know what to leave out."""
        from cmaen.cli.results import TableSink
        from cmaen.inference.resuming import ChapterSink
        from cmaen.inference.sinks import open_sink

        sinks: list[Sink] = []

        def add(kind: str, *target: Any, **settings: Any) -> None:
            sink = open_sink(kind, *target, **settings)
            sinks.append(sink)
            stack.callback(sink.close)  # also if what follows cannot be opened

        places = job.places
        if table is not None and (job.shares or job.stays_open):
            begun = table.begun.get(job.video)
            sinks.append(ChapterSink(table, 0 if begun is None else begun.records))
        elif table is not None:
            sinks.append(table)
        if places.annotated is not None:
            add("pictures", places.annotated, root=job.root)
        if places.chart is not None:
            add("chart", places.chart)
        if job.moving:
            add("people", *filter(None, [places.per_person]), settle=settle)
        source = stack.enter_context(closing(job.open(() if table is None else table.done, since)))
        if places.timeline is not None:
            add("timeline", places.timeline, settle=settle)
        if job.window:
            add("window")
        if places.save_video is not None:
            add("video", places.save_video, source)
        for name, target in split_sinks(self.options.sink or ()):
            add(name, *target)
        if not job.moving:
            sinks.append(TableSink(only_errors=not job.table, settle=settle))
        return source, sinks

    def _settings_of_videos(self) -> dict[str, Any]:
        """Collect the settings that the answers to videos depend on."""
        spec, excerpt = self._spec, self.options.excerpt
        return {"frames": str(excerpt), "smoothing": spec.smoothing, "search_every": spec.detect_every}

    def _settings(self) -> dict[str, Any]:
        """Collect the settings that the answers depend on; a resumed run must have the same."""
        spec = self._spec
        settings: dict[str, Any] = {
            "weights": self._sha256,
            "engine": self.options.engine,
            "detector": None if spec.detector is None else f"{spec.detector}, {spec.options}",
            "scheme": f"{spec.scheme} with contempt" if spec.contempt else spec.scheme,
        }
        if spec.threshold:
            settings["uncertain_below"] = spec.threshold
        if self.options.exclude is not None:
            settings["exclude"] = str(self.options.exclude)
        return settings


def split_sinks(given: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Split each ``NAME=TARGET`` of ``--sink`` into the name and the targets, of which there are none or one.

    Raises:
        CmaenError: The sink is built in, and so has an option of its own.
    """
    from cmaen.inference.sinks import SINKS

    for text in given:
        name, there, target = text.partition("=")
        if name in SINKS:
            raise CmaenError(f"--sink is for sinks of other packages; {name!r} is built in and has its own option")
        yield name, [target] if there else []


def run_simply(source: Source, pipeline: Pipeline, sinks: Sequence[Sink]) -> Summary:
    """Process all pictures of a source, with a progress bar on a terminal."""
    from cmaen.inference.run import run

    total = source.count() if sys.stderr.isatty() else None
    return run(source, pipeline, sinks, progress=lambda results: progress(results, "images", total))


def _build_predictor(spec: PipelineSpec) -> EmotionPredictor:
    from cmaen.inference.predictor import EmotionPredictor

    return EmotionPredictor.from_spec(spec)


def _build_searchers(spec: PipelineSpec) -> tuple[Detector, ...]:
    from cmaen.inference.anonymising import build_searchers

    return build_searchers(spec.detector, spec.options)


def _build_cluster(spec: PipelineSpec) -> Pipeline:
    with extra("the engine ray", "scale"):
        from cmaen.inference.cluster import RayPipeline
    return RayPipeline(spec)


def _complete(job: Job, table: RecordSink, sinks: Sequence[Sink]) -> None:
    """Complete the results of a video that has been processed to its end, if all of them were written."""
    from cmaen.inference.resuming import ChapterSink

    if any(isinstance(sink, ChapterSink) and sink.is_written for sink in sinks):
        if not job.shares:
            table.finish()
        elif job.video:
            table.end(job.video)


def _describe_files(table: RecordSink) -> dict[Path, str]:
    """Describe how much there is in each finished file of a table."""
    from cmaen.cli.results import noun_for
    from cmaen.drawing.lettering import write_count

    return {path: write_count(count, noun_for(path)) for path, count in table.counts.items()}


def _state_of(path: Path) -> tuple[int, int, int] | None:
    """Identify the current version of a file, to notice that it is replaced; ``None`` if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    if path.is_dir():
        return (0, 0, time.perf_counter_ns())  # an existing folder counts as changed
    return status.st_ino, status.st_mtime_ns, status.st_size
