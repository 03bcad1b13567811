"""``cmaen inference`` and ``cmaen crop``: a source, a pipeline and sinks from the options, and what is said of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmaen.checkpoints import Card
from cmaen.cli.console import Contempt, EngineDevice, SchemeName, extra, log, progress
from cmaen.cli.options import FaceOptions, takes
from cmaen.errors import CmaenError
from cmaen.inference.sources.excerpt import WHOLE, Excerpt
from cmaen.inference.spec import PipelineSpec

if TYPE_CHECKING:
    from cmaen.inference.pipeline import Pipeline
    from cmaen.inference.predictor import EmotionPredictor
    from cmaen.inference.run import Summary
    from cmaen.inference.sinks import Sink
    from cmaen.inference.sources import Source

_RAY = "ray"
"""As an engine: ONNX Runtime in the workers of a cluster."""


@dataclass(frozen=True, kw_only=True)
class InferenceOptions(FaceOptions):
    """The options of ``cmaen inference``."""

    image: Annotated[list[str] | None, typer.Option(help="An image; repeat the option for more.")] = None
    directory: Annotated[
        str | None,
        typer.Option(help="All images of a folder and the folders in it; also an address, like s3://bucket/folder."),
    ] = None
    video: Annotated[str | None, typer.Option(help="A video: a file, or the address of a stream.")] = None
    real_time: Annotated[bool, typer.Option("--real-time", help="The webcam.")] = False
    output: Annotated[
        Path | None, typer.Option(help="Write the results to a .json, .jsonl, .csv or .parquet file.")
    ] = None
    annotated: Annotated[
        Path | None, typer.Option(help="Draw the faces: a picture file with one --image, a folder with --directory.")
    ] = None
    explain: Annotated[
        Path | None,
        typer.Option(help="With one --image: a picture file that shows what the answer of each face depends on."),
    ] = None
    map_kind: Annotated[
        str,
        typer.Option(
            "--explain-map",
            help="Which map --explain draws: occlusion, or with PyTorch gradient or an attention like emotion_head.",
        ),
    ] = "occlusion"
    detect: Annotated[bool, typer.Option(help="Find the faces first; --no-detect: the images are face crops.")] = True
    batch_size: Annotated[
        int, typer.Option(min=int(PipelineSpec.range_of("batch_size").low), help="Images per batch.")
    ] = PipelineSpec.batch_size
    camera_index: Annotated[int, typer.Option(min=0, help="Which webcam.")] = 0
    save_video: Annotated[Path | None, typer.Option(help="Write the video with the faces drawn, with its sound.")] = (
        None
    )
    timeline: Annotated[Path | None, typer.Option(help="Draw each person's emotions over the video: .png, .svg.")] = (
        None
    )
    display: Annotated[bool, typer.Option(help="Show the webcam in a window.")] = True
    smoothing: Annotated[
        float,
        typer.Option(
            min=PipelineSpec.range_of("smoothing").low, help="Seconds of a video over which answers are smoothed."
        ),
    ] = PipelineSpec.smoothing
    search_every: Annotated[
        float,
        typer.Option(
            min=PipelineSpec.range_of("detect_every").low,
            help="Seconds of a video from one search for faces to the next; 0: search every frame.",
        ),
    ] = PipelineSpec.detect_every
    every: Annotated[int, typer.Option(min=1, help="Look at every n-th frame of a video only.")] = WHOLE.every
    start: Annotated[float, typer.Option(min=0, help="Second of a video to start at.")] = WHOLE.start
    end: Annotated[float | None, typer.Option(min=0, help="Second of a video to end at; default: its end.")] = WHOLE.end
    uncertain_below: Annotated[
        float,
        typer.Option(
            min=PipelineSpec.range_of("threshold").low,
            max=PipelineSpec.range_of("threshold").high,
            help="Answer 'uncertain' where the confidence is lower; 0: never.",
        ),
    ] = PipelineSpec.threshold
    scheme: SchemeName = PipelineSpec.scheme
    contempt: Contempt = PipelineSpec.contempt
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run into OUTPUT.")] = False
    engine: Annotated[
        str, typer.Option(help="auto, onnx, openvino or torch; ray: ONNX Runtime in many processes, on many machines.")
    ] = PipelineSpec.engine
    device: EngineDevice = PipelineSpec.device

    @property
    def is_moving(self) -> bool:
        """Whether it is a video or the webcam."""
        return self.video is not None or self.real_time

    @property
    def remote(self) -> bool:
        """Whether the folder is at an address."""
        return self.directory is not None and "://" in self.directory

    @property
    def root(self) -> Path | None:
        """The folder on this machine, if there is one."""
        return None if self.directory is None else Path(self.directory)

    def to_spec(self) -> PipelineSpec:
        """The pipeline that they describe: for many pictures where they are those of a folder."""
        return replace(
            super().to_spec(),
            detector=self.detector if self.detect else None,
            engine=PipelineSpec.engine if self.engine == _RAY else self.engine,
            device=self.device,
            scheme=self.scheme,
            contempt=self.contempt,
            threshold=self.uncertain_below,
            batch_size=self.batch_size,
            smoothing=self.smoothing,
            detect_every=self.search_every,
            throughput=self.directory is not None,
        )

    def find_problem(self) -> str | None:
        """What does not go together; ``None`` where all does."""
        images, moving, folder = self.image or [], self.is_moving, self.directory is not None
        ray = self.engine == _RAY
        excerpt = (self.every, self.start, self.end) != (WHOLE.every, WHOLE.start, WHOLE.end)
        problems = {
            "give one of --image, --directory, --video and --real-time": (
                sum((bool(images), folder, self.video is not None, self.real_time)) != 1
            ),
            "--engine ray is for a --directory": ray and not folder,
            "--engine ray computes on the cores of its machines; leave --device out": (
                ray and self.device != PipelineSpec.device
            ),
            "--save-video and --timeline are for --video and --real-time": (
                bool(self.save_video or self.timeline) and not moving
            ),
            "--every, --start and --end are for --video and --real-time": excerpt and not moving,
            f"--end must be later than --start ({self.start:g} s), not {self.end or 0:g} s": (
                self.end is not None and self.end <= self.start
            ),
            "--annotated is for an --image or a --directory on this machine; a video has --save-video": (
                self.annotated is not None and (moving or self.remote)
            ),
            f"--annotated is for one --image, not {len(images)}; put them into a folder for --directory": (
                self.annotated is not None and len(images) > 1
            ),
            "--explain is for an --image, and for one alone": self.explain is not None and len(images) != 1,
            "--resume is for a --directory with an --output": self.resume and (not folder or self.output is None),
        }
        return next((problem for problem, there in problems.items() if there), None)


@takes(InferenceOptions)
def inference(options: InferenceOptions) -> None:
    """Recognise facial emotions in an image, a folder, a video or a webcam."""
    log(options.verbose)
    if (problem := options.find_problem()) is not None:
        raise CmaenError(problem)
    spec = options.to_spec().fetch()
    card = spec.open_checkpoint().card
    scheme = card.resolve_scheme(spec.scheme)
    card.select_labels(scheme, spec.contempt)  # a wrong scheme is refused before anything is loaded
    spec = replace(spec, scheme=scheme)
    predictor = None if options.engine == _RAY else _build_predictor(spec)
    pipeline = _build_cluster(spec) if predictor is None else predictor.pipeline
    with ExitStack() as stack:
        source, sinks = _open(options, spec, card, stack)
        unit = "frames" if options.is_moving else "images"
        started = time.perf_counter()
        summary = _run(source, pipeline, sinks, unit)
    if options.explain is not None and predictor is not None and summary.faces:
        _explain(predictor, options, options.explain)
    seconds = time.perf_counter() - started
    typer.echo(_count_frames(summary, seconds) if options.is_moving else _count_images(summary))
    if summary.errors == summary.frames > 0:
        raise typer.Exit(1)


@dataclass(frozen=True, kw_only=True)
class CropOptions(FaceOptions):
    """The options of ``cmaen crop``."""

    input_dir: Annotated[Path, typer.Option(help="Folder of photographs, at any depth.")]
    output_dir: Annotated[Path, typer.Option(help="Folder for the faces, of the same shape.")]
    every: Annotated[bool, typer.Option("--every", help="Crop every face, not only the largest.")] = False


@takes(CropOptions)
def crop(options: CropOptions) -> None:
    """Find, align and cut out the faces of photographs as prediction does, to train on them."""
    log(options.verbose)
    from cmaen.cli.results import TableSink
    from cmaen.inference.sinks import open_sink
    from cmaen.inference.sources import open_source

    spec = options.to_spec().fetch()
    pipeline, card = spec.build(), spec.open_checkpoint().card
    with ExitStack() as stack:
        crops = open_sink("crops", options.output_dir, root=options.input_dir, spec=card.crop, every=options.every)
        stack.callback(crops.close)
        source = stack.enter_context(closing(open_source("folder", options.input_dir, max_pixels=spec.max_pixels)))
        summary = _run(source, pipeline, [crops, TableSink(only_errors=True)], "images")
    typer.echo(f"{_count_images(summary)}: {options.output_dir}")


def _build_predictor(spec: PipelineSpec) -> EmotionPredictor:
    from cmaen.inference.predictor import EmotionPredictor

    return EmotionPredictor.from_spec(spec)


def _build_cluster(spec: PipelineSpec) -> Pipeline:
    with extra("the engine ray", "scale"):
        from cmaen.inference.cluster import RayPipeline
    return RayPipeline(spec)


def _open(options: InferenceOptions, spec: PipelineSpec, card: Card, stack: ExitStack) -> tuple[Source, list[Sink]]:
    """The source and the sinks; those that write a folder or a file come first, since they say what is left out."""
    from cmaen.cli.results import TableSink
    from cmaen.inference.sinks import open_sink

    sinks: list[Sink] = []
    without: Container[str] = ()
    if options.output is not None:
        records = _open_records(options, spec, card)
        without = records.done
        sinks.append(records)
    if options.annotated is not None:
        pictures = open_sink("pictures", options.annotated, root=options.root)
        stack.callback(pictures.close)
        sinks.append(pictures)
    source = stack.enter_context(closing(_open_source(options, spec, without)))
    sinks += _open_moving(options, source)
    if not options.is_moving:
        sinks.append(TableSink(only_errors=options.output is not None and not options.image))
    return source, sinks


def _open_records(options: InferenceOptions, spec: PipelineSpec, card: Card) -> Any:
    """The sink of ``--output``, with what its answers depend on."""
    from cmaen.inference.sinks import open_sink

    scheme = card.resolve_scheme(spec.scheme)
    settings: dict[str, Any] = {
        "weights": card.sha256,
        "engine": options.engine,
        "detector": None if spec.detector is None else f"{spec.detector}, {spec.options}",
        "scheme": f"{scheme} with contempt" if spec.contempt else scheme,
    }
    if spec.threshold:
        settings["uncertain_below"] = spec.threshold
    classes = card.select_labels(scheme, spec.contempt).labels
    return open_sink("records", options.output, classes=classes, settings=settings, resume=options.resume)


def _open_source(options: InferenceOptions, spec: PipelineSpec, without: Container[str]) -> Source:
    from cmaen.inference.sources import open_source

    if options.image:
        return open_source("images", options.image, max_pixels=spec.max_pixels)
    if options.directory is not None:
        kind = "address" if options.remote else "folder"
        return open_source(kind, options.directory, without=without, max_pixels=spec.max_pixels)
    excerpt = Excerpt(options.every, options.start, options.end)
    if options.video is not None:
        return open_source("video", options.video, excerpt=excerpt)
    return open_source("camera", options.camera_index, excerpt=excerpt)


def _open_moving(options: InferenceOptions, source: Source) -> Iterator[Sink]:
    """The sinks of a video and of the webcam."""
    from cmaen.inference.sinks import open_sink

    if options.timeline is not None:
        yield open_sink("timeline", options.timeline)
    if options.real_time and options.display:
        yield open_sink("window")
    if options.save_video is not None:
        yield open_sink("video", options.save_video, source)


def _run(source: Source, pipeline: Pipeline, sinks: Sequence[Sink], unit: str) -> Summary:
    """Take all frames through the pipeline, with a bar on a terminal."""
    from cmaen.inference.run import run

    total = source.count() if sys.stderr.isatty() else None
    return run(source, pipeline, sinks, progress=lambda results: progress(results, unit, total))


def _explain(predictor: EmotionPredictor, options: InferenceOptions, target: Path) -> None:
    """Draw what the answers depend on, by the predictor that gave them."""
    assert options.image
    predictor.explain(options.image[0], detect=options.detect, kind=options.map_kind).save(target)


def _count_frames(summary: Summary, seconds: float) -> str:
    return (
        f"{summary.frames} frames ({summary.seconds:.1f} s), {summary.faces} faces, {summary.people} people; "
        f"{summary.frames / max(seconds, 1e-9):.1f} frames a second"
    )


def _count_images(summary: Summary) -> str:
    counts = {"image": summary.frames, "face": summary.faces, "error": summary.errors}
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
