"""``cmaen inference``: its options, and the videos; the pictures are in :mod:`cmaen.cli.pictures`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cmaen.cli.console import Checkpoint, Verbose, extra, log, progress
from cmaen.errors import CmaenError


def inference(
    image: Annotated[Path | None, typer.Option(help="One image.")] = None,
    directory: Annotated[
        str | None,
        typer.Option(help="All images of a folder and the folders in it; with --engine ray also s3://bucket/folder."),
    ] = None,
    video: Annotated[str | None, typer.Option(help="A video: a file, or the address of a stream.")] = None,
    real_time: Annotated[bool, typer.Option("--real-time", help="The webcam.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Write the results to a .json, .jsonl, .csv or .parquet file; of a video to .csv or .jsonl."),
    ] = None,
    annotated: Annotated[
        Path | None, typer.Option(help="Draw the faces: a picture file with --image, a folder with --directory.")
    ] = None,
    detect: Annotated[bool, typer.Option(help="Find the faces first; --no-detect: the images are face crops.")] = True,
    detector: Annotated[
        str, typer.Option(help="auto, centerface, haar, yunet:MODEL.onnx or compact:MODEL.onnx.")
    ] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images whose faces are judged together.")] = 32,
    camera_index: Annotated[int, typer.Option(min=0, help="Which webcam.")] = 0,
    save_video: Annotated[
        Path | None, typer.Option(help="Write the video with the faces drawn, with its sound.")
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="Draw each person's emotions over the video: .png, .svg.")
    ] = None,
    display: Annotated[bool, typer.Option(help="Show the webcam in a window.")] = True,
    smoothing: Annotated[float, typer.Option(min=0, help="Seconds of a video over which answers are smoothed.")] = 0.4,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run into OUTPUT that was stopped.")] = False,
    checkpoint: Checkpoint = None,
    engine: Annotated[
        str, typer.Option(help="onnx, openvino or torch; ray: ONNX Runtime in many processes, on many machines.")
    ] = "onnx",
    verbose: Verbose = False,
) -> None:
    """Recognise the emotions of the faces in an image, a folder of images, a video, or before the webcam."""
    log(verbose)
    if sum((image is not None, directory is not None, video is not None, real_time)) != 1:
        raise CmaenError("give one of --image, --directory, --video and --real-time")
    if engine == "ray" and directory is None:
        raise CmaenError("--engine ray is for a --directory")
    from cmaen.inference.predictor import EmotionPredictor

    predictor = EmotionPredictor(checkpoint, detector=detector, engine="onnx" if engine == "ray" else engine)
    if video is not None or real_time:
        with extra("video", "video"):
            from cmaen.inference.watch import watch_source
        started = time.perf_counter()
        seen = watch_source(
            camera_index if video is None else video,
            predictor,
            output=output,
            save_video=save_video,
            timeline=timeline,
            display=real_time and display,
            smoothing=smoothing,
            progress=lambda frames, total: progress(frames, "frames", total),
        )
        rate = seen.frames / max(time.perf_counter() - started, 1e-9)
        typer.echo(
            f"{seen.frames} frames ({seen.seconds:.1f} s), {seen.faces} faces, {seen.people} people; "
            f"{rate:.1f} frames a second"
        )
        return
    from cmaen.cli.pictures import judge_pictures

    judge_pictures(
        predictor,
        image=image,
        directory=directory,
        output=output,
        annotated=annotated,
        detect=detect,
        batch_size=batch_size,
        resume=resume,
        elsewhere=None
        if engine != "ray"
        else {"checkpoint": checkpoint and checkpoint.absolute(), "detector": detector},
    )
