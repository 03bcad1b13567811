"""``cmaen inference``: a source, a pipeline and sinks from the options, and what is shown of the results."""

from __future__ import annotations

import sys
import time
from collections.abc import Container
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmaen.cli.console import (
    Checkpoint,
    Contempt,
    DetectorName,
    DetectorSide,
    EngineDevice,
    MaxMegapixels,
    MinFace,
    MinScore,
    SchemeName,
    Verbose,
    extra,
    log,
    progress,
)
from cmaen.errors import CmaenError

if TYPE_CHECKING:
    from cmaen.inference.pipeline import Pipeline
    from cmaen.inference.predictor import EmotionPredictor
    from cmaen.inference.run import Summary
    from cmaen.inference.sinks import Sink
    from cmaen.inference.sources import Source


def inference(
    image: Annotated[list[str] | None, typer.Option(help="An image; repeat the option for more.")] = None,
    directory: Annotated[
        str | None,
        typer.Option(help="All images of a folder and the folders in it; also an address, like s3://bucket/folder."),
    ] = None,
    video: Annotated[str | None, typer.Option(help="A video: a file, or the address of a stream.")] = None,
    real_time: Annotated[bool, typer.Option("--real-time", help="The webcam.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write the results to a .json, .jsonl, .csv or .parquet file.")
    ] = None,
    annotated: Annotated[
        Path | None, typer.Option(help="Draw the faces: a picture file with one --image, a folder with --directory.")
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(help="With one --image: a .png that shows what the answer for its largest face depends on."),
    ] = None,
    map_kind: Annotated[
        str,
        typer.Option("--explain-map", help="Which map --explain draws: gradient, or an attention like emotion_head."),
    ] = "gradient",
    detect: Annotated[bool, typer.Option(help="Find the faces first; --no-detect: the images are face crops.")] = True,
    detector: DetectorName = "yunet",
    detector_side: DetectorSide = None,
    min_score: MinScore = None,
    min_face: MinFace = 0.0,
    max_megapixels: MaxMegapixels = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images whose faces are classified together.")] = 32,
    camera_index: Annotated[int, typer.Option(min=0, help="Which webcam.")] = 0,
    save_video: Annotated[
        Path | None, typer.Option(help="Write the video with the faces drawn, with its sound.")
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="Draw each person's emotions over the video: .png, .svg.")
    ] = None,
    display: Annotated[bool, typer.Option(help="Show the webcam in a window.")] = True,
    smoothing: Annotated[float, typer.Option(min=0, help="Seconds of a video over which answers are smoothed.")] = 0.4,
    search_every: Annotated[
        float,
        typer.Option(min=0, help="Seconds of a video from one search for faces to the next; 0: search every frame."),
    ] = 0.2,
    every: Annotated[int, typer.Option(min=1, help="Look at every n-th frame of a video only.")] = 1,
    start: Annotated[float, typer.Option(min=0, help="Second of a video to start at.")] = 0.0,
    end: Annotated[float | None, typer.Option(min=0, help="Second of a video to end at; default: its end.")] = None,
    uncertain_below: Annotated[
        float, typer.Option(min=0, max=1, help="Answer 'uncertain' where the confidence is lower; 0: never.")
    ] = 0.0,
    scheme: SchemeName = None,
    contempt: Contempt = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run into OUTPUT that was stopped.")] = False,
    checkpoint: Checkpoint = None,
    engine: Annotated[
        str, typer.Option(help="auto, onnx, openvino or torch; ray: ONNX Runtime in many processes, on many machines.")
    ] = "auto",
    device: EngineDevice = "cpu",
    verbose: Verbose = False,
) -> None:
    """Recognise facial emotions in an image, a folder, a video or a webcam."""
    log(verbose)
    if sum((bool(image), directory is not None, video is not None, real_time)) != 1:
        raise CmaenError("give one of --image, --directory, --video and --real-time")
    moving = video is not None or real_time
    remote = directory is not None and "://" in directory
    if engine == "ray" and directory is None:
        raise CmaenError("--engine ray is for a --directory")
    if engine == "ray" and device != "cpu":
        raise CmaenError("--engine ray computes on the cores of its machines; leave --device out")
    if engine == "ray" and max_megapixels is not None:
        raise CmaenError("--engine ray has a fixed limit of pixels; leave --max-megapixels out")
    if (save_video or timeline) and not moving:
        raise CmaenError("--save-video and --timeline are for --video and --real-time")
    if (every, start, end) != (1, 0, None) and not moving:
        raise CmaenError("--every, --start and --end are for --video and --real-time")
    if end is not None and end <= start:
        raise CmaenError(f"--end must be later than --start ({start:g} s), not {end:g} s")
    if annotated and (moving or remote):
        raise CmaenError("--annotated is for an --image or a --directory on this machine; a video has --save-video")
    images = image or []
    if annotated and len(images) > 1:
        raise CmaenError(f"--annotated is for one --image, not {len(images)}; put them into a folder for --directory")
    if explain and len(images) != 1:
        raise CmaenError("--explain is for an --image, and for one alone")
    if resume and (directory is None or output is None):
        raise CmaenError("--resume is for a --directory with an --output")

    from cmaen.card import read_card, shipped_checkpoint
    from cmaen.cli.results import TableSink
    from cmaen.images import MAX_PIXELS
    from cmaen.inference.detectors import DetectorOptions
    from cmaen.inference.run import run
    from cmaen.inference.sinks import open_sink
    from cmaen.inference.sinks.records import RecordSink
    from cmaen.inference.sources import Excerpt, open_source
    from cmaen.inference.sources.images import FolderSource, ListSource

    folder = checkpoint or shipped_checkpoint()
    options = DetectorOptions(max_side=detector_side, min_score=min_score, min_face=min_face)
    card = read_card(folder)
    scheme = card.resolve_scheme(scheme)
    classes = card.answered(scheme, contempt).labels
    max_pixels = MAX_PIXELS if max_megapixels is None else round(max_megapixels * 1e6)
    predictor: EmotionPredictor | None = None
    pipeline: Pipeline
    if engine == "ray":
        pipeline = _ray_pipeline(
            folder,
            detector=detector if detect else None,
            options=options,
            batch_size=batch_size,
            threshold=uncertain_below,
            scheme=scheme,
            contempt=contempt,
        )
    else:
        predictor = _predictor(
            folder,
            threads=None if directory is None else 1,
            detector=detector if detect else "yunet",
            options=options if detect else None,
            engine=engine,
            threshold=uncertain_below,
            device=device,
            scheme=scheme,
            contempt=contempt,
            max_pixels=max_pixels,
        )
        finder = predictor.pipeline.detector if detect else None
        tuned = predictor.pipeline.tune(batch_size=batch_size, smoothing=smoothing, detect_every=search_every)
        pipeline = replace(tuned, detector=finder)
    with ExitStack() as stack:
        sinks: list[Sink] = []
        without: Container[str] = ()
        if output is not None:
            found_by = f"{detector}, {options}" if detect else None
            settings: dict[str, Any] = {
                "weights": card.sha256,
                "engine": engine,
                "detector": found_by,
                "scheme": f"{scheme} with contempt" if contempt else scheme,
            }
            if uncertain_below:
                settings["uncertain_below"] = uncertain_below
            records = RecordSink(output, classes=classes, settings=settings, resume=resume)
            sinks.append(records)
            without = records.done
        source: Source
        if images:
            source = ListSource(images, max_pixels=max_pixels)
        elif directory is not None and remote:
            with extra("reading from an address", "scale"):
                from cmaen.inference.sources.address import AddressSource
            source = AddressSource(directory, without=without, max_pixels=max_pixels)
        elif directory is not None:
            source = FolderSource(Path(directory), without=without, max_pixels=max_pixels)
        else:
            kind, where = ("camera", str(camera_index)) if video is None else ("video", video)
            source = open_source(kind, where, excerpt=Excerpt(every, start, end))
        stack.enter_context(closing(source))
        if annotated is not None:
            sinks.append(open_sink("pictures", annotated, root=None if directory is None else Path(directory)))
        if timeline is not None:
            sinks.append(open_sink("timeline", timeline))
        if real_time and display:
            sinks.append(open_sink("window"))
        if save_video is not None:
            sinks.append(open_sink("video", save_video, source))
        if not moving:
            sinks.append(TableSink(only_errors=output is not None and not images))
        total = source.count() if sys.stderr.isatty() else None
        started = time.perf_counter()
        unit = "frames" if moving else "images"
        summary = run(source, pipeline, sinks, progress=lambda results: progress(results, unit, total))
    if explain is not None and predictor is not None and summary.faces:
        _explain(predictor, images[0], explain, detect, map_kind)
    typer.echo(_counted(summary, time.perf_counter() - started) if moving else _tallied(summary))
    if summary.errors == summary.frames > 0:
        raise typer.Exit(1)


def _explain(predictor: EmotionPredictor, image: str, target: Path, detect: bool, kind: str) -> None:
    """Draw what the answer depends on, by the predictor that gave it."""
    from cmaen.data.tree import png
    from cmaen.files import replacing

    picture = predictor.explain(image, detect=detect, kind=kind)
    with replacing(target) as temporary:
        temporary.write_bytes(png(picture))


def crop(
    input_dir: Annotated[Path, typer.Option(help="Folder of photographs, at any depth.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the faces, of the same shape.")],
    every: Annotated[bool, typer.Option("--every", help="All faces of a photograph, not the largest alone.")] = False,
    detector: DetectorName = "yunet",
    detector_side: DetectorSide = None,
    min_score: MinScore = None,
    min_face: MinFace = 0.0,
    max_megapixels: MaxMegapixels = None,
    checkpoint: Checkpoint = None,
    verbose: Verbose = False,
) -> None:
    """Find, align and cut out the faces of photographs as prediction does, to train on them."""
    log(verbose)
    from cmaen.card import read_card, shipped_checkpoint
    from cmaen.cli.results import TableSink
    from cmaen.images import MAX_PIXELS
    from cmaen.inference.detectors import DetectorOptions
    from cmaen.inference.run import run
    from cmaen.inference.sinks import open_sink
    from cmaen.inference.sources.images import FolderSource

    folder = checkpoint or shipped_checkpoint()
    options = DetectorOptions(max_side=detector_side, min_score=min_score, min_face=min_face)
    max_pixels = MAX_PIXELS if max_megapixels is None else round(max_megapixels * 1e6)
    pipeline = _predictor(folder, threads=1, detector=detector, options=options).pipeline
    crops = open_sink("crops", output_dir, root=input_dir, spec=read_card(folder).crop, every=every)
    with closing(FolderSource(input_dir, max_pixels=max_pixels)) as source:
        total = source.count() if sys.stderr.isatty() else None
        sinks = [crops, TableSink(only_errors=True)]
        summary = run(source, pipeline, sinks, progress=lambda results: progress(results, "images", total))
    typer.echo(f"{_tallied(summary)}: {output_dir}")


def _ray_pipeline(checkpoint: Path, **options: Any) -> Pipeline:
    with extra("the engine ray", "scale"):
        from cmaen.inference.cluster import RayPipeline
    return RayPipeline(checkpoint, **options)


def _predictor(checkpoint: Path, *, threads: int | None, **options: Any) -> EmotionPredictor:
    """Where many pictures keep all cores busy, each of them is fastest on one thread."""
    import cv2

    from cmaen.inference.predictor import EmotionPredictor

    if threads is not None:
        cv2.setNumThreads(threads)  # of the whole process, which is the command's own
    return EmotionPredictor(checkpoint, threads=threads, **options)


def _counted(summary: Summary, seconds: float) -> str:
    return (
        f"{summary.frames} frames ({summary.seconds:.1f} s), {summary.faces} faces, {summary.people} people; "
        f"{summary.frames / max(seconds, 1e-9):.1f} frames a second"
    )


def _tallied(summary: Summary) -> str:
    counts = {"image": summary.frames, "face": summary.faces, "error": summary.errors}
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
