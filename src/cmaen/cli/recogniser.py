"""Processing of one source, from opening it to its outputs, for every verb that predicts."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
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
    from cmaen.inference.people.circle import Circle
    from cmaen.inference.people.naming import Settle
    from cmaen.inference.pipeline import Pipeline
    from cmaen.inference.predictor import EmotionPredictor
    from cmaen.inference.run import Summary
    from cmaen.inference.sinks import Sink
    from cmaen.inference.sinks.people import Person
    from cmaen.inference.sources import Source
    from cmaen.results import Result


@dataclass(frozen=True, kw_only=True)
class Job:
    """One source, and what is done with it.

    Attributes:
        open: Function that opens the source; it takes the names of pictures to leave out.
        places: Outputs for the results.
        moving: Whether the source is a video or a camera.
        root: Folder of pictures whose structure the folder ``places.annotated`` repeats; ``None`` for a single picture.
        table: Whether to show the answers to pictures in a table.
        window: Whether to show the frames in a window.
        name: Heading of the summary; empty for the only job.
    """

    open: Callable[[Container[str]], Source]
    places: Places
    moving: bool = False
    root: Path | None = None
    table: bool = True
    window: bool = False
    name: str = ""


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
        spec = spec.fetch()
        card = spec.open_checkpoint().card
        scheme = card.resolve_scheme(spec.scheme)
        self._labels = card.select_labels(scheme, spec.contempt).labels  # raises before anything is loaded
        self._sha256 = card.sha256
        self._spec = spec = replace(spec, scheme=scheme)
        self.predictor: EmotionPredictor | None = None if options.engine == RAY else _build_predictor(spec)
        self._searchers = _build_searchers(spec) if options.anonymise else ()
        self._pipeline = _build_cluster(spec) if self.predictor is None else self.predictor.pipeline
        self._circle = self._open_circle() if options.compares_faces else None

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
            noun_for,
            show_people,
            show_written,
        )
        from cmaen.drawing.lettering import write_count
        from cmaen.inference.run import run
        from cmaen.inference.sinks.people import PeopleSink
        from cmaen.inference.sinks.records import RecordSink

        places = job.places.list_given()
        before = {path: _state_of(path) for path in places}
        ended = False
        pipeline, settle = self._begin(job)
        with ExitStack() as stack:
            source, sinks = self._open(job, stack, settle)
            unit = "frames" if job.moving else "images"
            total = source.count() if sys.stderr.isatty() else None

            def watch(results: Iterable[Result]) -> Iterator[Result]:
                nonlocal ended
                yield from progress(results, unit, total)
                ended = True

            started = time.perf_counter()
            summary = run(source, pipeline, sinks, progress=watch, anonymiser=self._hide_faces(source), settle=settle)
            seconds = time.perf_counter() - started
        heading = f"{job.name}: " if job.name else ""
        counts = count_frames(summary, seconds) if job.moving else count_images(summary)
        typer.echo(escape_for_terminal(f"{heading}{counts}"))
        if settle is not None and (text := describe_excluded(settle())):
            typer.echo(text)
        about: dict[Path, str] = {}
        for sink in sinks:
            if isinstance(sink, TableSink) and (text := sink.sum_up()):
                typer.echo(text)
            elif isinstance(sink, PeopleSink):
                people: list[Person] = list(sink.people.values())
                show_people(people)
            elif isinstance(sink, RecordSink):
                about |= {path: write_count(count, noun_for(path)) for path, count in sink.counts.items()}
        places += [path for path in about if path not in before]  # one for each of several videos
        show_written((path, about.get(path, "")) for path in places if _state_of(path) not in (None, before.get(path)))
        return Outcome(summary=summary, seconds=seconds, whole=ended)

    def _hide_faces(self, source: Source) -> Anonymiser | None:
        """Make what hides the faces of a source, if that is wanted; a live source is not held back."""
        if not self.options.anonymise:
            return None
        from cmaen.inference.anonymising import AHEAD, Anonymiser

        return Anonymiser(self._searchers, ahead=0 if source.live else AHEAD)

    def explain(self, picture: str, target: Path) -> None:
        """Draw what the answer to a picture depends on, using the predictor that gave the answer."""
        from cmaen.cli.results import show_written

        assert self.predictor is not None
        kind = {} if self.options.map_kind is None else {"kind": self.options.map_kind}
        typer.echo("explaining the answer …", err=True)
        self.predictor.explain(picture, detect=self.options.detect, **kind).save(target)
        show_written([(target, "")])

    def _open_circle(self) -> Circle:
        """Read the photographs of people who are known or excluded, and say how many there are."""
        from cmaen.cli.results import describe_known
        from cmaen.inference.people.opening import open_circle

        assert self.predictor is not None
        given, pipeline = self.options, self.predictor.pipeline
        circle = open_circle(
            pipeline.detect,
            people=given.people,
            exclude=given.exclude,
            recognise=given.recognise_people,
            threads=self._spec.share_threads().engine,
            max_pixels=self._spec.max_pixels,
        )
        typer.echo(describe_known(circle.known, circle.excluded), err=True)
        return circle

    def _begin(self, job: Job) -> tuple[Pipeline, Settle | None]:
        """Return the pipeline for a job, and what tells the final names if people are recognised."""
        if self._circle is None:
            return self._pipeline, None
        from cmaen.inference.people.opening import begin

        assert self.predictor is not None
        people = begin(self._circle, moving=job.moving)
        return replace(self.predictor.pipeline, people=people), people.settle

    def _open(self, job: Job, stack: ExitStack, settle: Settle | None) -> tuple[Source, list[Sink]]:
        """Open the source and the sinks; sinks for files and folders come first: they know what to leave out."""
        from cmaen.cli.results import TableSink
        from cmaen.inference.sinks import open_sink

        sinks: list[Sink] = []
        without: Container[str] = ()

        def add(kind: str, *target: Any, **settings: Any) -> None:
            sink = open_sink(kind, *target, **settings)
            sinks.append(sink)
            stack.callback(sink.close)  # also if what follows cannot be opened

        places = job.places
        if places.output is not None:
            settings = {"classes": self._labels, "settings": self._settings(), "resume": self.options.resume}
            add("records", places.output, also=places.also, settle=settle, **settings)
            without = sinks[0].done  # type: ignore[attr-defined]
        if places.annotated is not None:
            add("pictures", places.annotated, root=job.root)
        if places.chart is not None:
            add("chart", places.chart)
        if job.moving:
            add("people", *filter(None, [places.per_person]), settle=settle)
        source = stack.enter_context(closing(job.open(without)))
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


def _state_of(path: Path) -> tuple[int, int, int] | None:
    """Identify the current version of a file, to notice that it is replaced; ``None`` if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    if path.is_dir():
        return (0, 0, time.perf_counter_ns())  # an existing folder counts as changed
    return status.st_ino, status.st_mtime_ns, status.st_size
