"""``cmaen inference``: faces in pictures."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import tee
from pathlib import Path
from typing import Annotated, Any

import typer

from cmaen.cli.console import Checkpoint, EngineName, Verbose, extra, log, progress
from cmaen.errors import CmaenError, OutputError


def inference(
    image: Annotated[Path | None, typer.Option(help="One image.")] = None,
    directory: Annotated[Path | None, typer.Option(help="All images of a folder and the folders in it.")] = None,
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
    detector: Annotated[str, typer.Option(help="auto, centerface, haar, or yunet:MODEL.onnx.")] = "auto",
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
    engine: EngineName = "onnx",
    verbose: Verbose = False,
) -> None:
    """Recognise the emotions of the faces in an image, a folder of images, a video, or before the webcam."""
    log(verbose)
    if sum((image is not None, directory is not None, video is not None, real_time)) != 1:
        raise CmaenError("give one of --image, --directory, --video and --real-time")
    if video is not None or real_time:
        from cmaen.inference.predictor import EmotionPredictor

        predictor = EmotionPredictor(checkpoint, detector=detector, engine=engine)
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
    from cmaen.images import printable
    from cmaen.inference.outputs import ResultFile
    from cmaen.inference.predictor import EmotionPredictor

    root = directory or Path()
    if directory is not None and next(_images_in(root), None) is None:
        raise CmaenError(f"{root} holds no file whose name is an image's")
    predictor = EmotionPredictor(checkpoint, detector=detector, engine=engine)
    counts: Counter[str] = Counter()
    shown = []
    with ResultFile(output, resume=resume) if output is not None else nullcontext() as file:
        paths = [image] if image is not None else _images_in(root)
        left, again = tee(path for path in paths if file is None or printable(path) not in file)
        total = sum(1 for _ in _images_in(root)) if directory is not None and sys.stderr.isatty() else None
        predictions = predictor.predict_each(left, detect, batch_size)
        for path, prediction in zip(again, progress(predictions, "images", total), strict=False):
            result = {"path": printable(path), **prediction.as_dict()}
            counts.update(image=1, face=len(result["faces"]), error=result["status"] == "error")
            if annotated is not None and result["faces"]:
                _draw(path, result, annotated if image is not None else annotated / path.relative_to(root))
            if file is not None:
                file.write(result)
            if file is None or image is not None or result["error"]:
                shown.append(result)
    _show(shown, counts, table=output is None or image is not None)
    if counts["error"] == counts["image"] > 0:
        raise typer.Exit(1)


def _images_in(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it whose names are images', in order; never the list of them all."""
    from cmaen.images import is_image_name

    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except NotADirectoryError as error:
        raise CmaenError(f"{folder} is not a folder; for one image use --image") from error
    except OSError as error:
        raise CmaenError(f"{folder} cannot be read: {error.strerror}") from error
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            try:
                yield from _images_in(path)
            except CmaenError as error:
                logging.getLogger(__name__).warning("%s; it is left out", error)
        elif is_image_name(path) and not entry.is_dir():
            yield path


def _draw(path: Path, result: dict[str, Any], target: Path) -> None:
    """Draw the faces of one image; a picture that cannot be written is said and costs the others nothing."""
    from cmaen.images import read_image
    from cmaen.inference.annotate import annotate
    from cmaen.inference.outputs import write_picture

    try:
        if target.exists() and target.samefile(path):
            raise OutputError(f"{target} is the image itself; choose another place for the annotated picture")
        write_picture(target, annotate(read_image(path), result["faces"]))
    except OutputError as error:
        logging.getLogger(__name__).warning("%s", error)


def _show(results: list[dict[str, Any]], counts: Counter[str], *, table: bool) -> None:
    """The results as a table, or only what went wrong; and how many there were of everything."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if table:
        rows = Table("image", "face", "emotion", "confidence", "box: x, y, width, height")
        for result in results:
            name = Text(Path(result["path"]).name)
            if not result["faces"]:
                rows.add_row(name, "", Text(result["error"] or "no face", style="red" if result["error"] else ""))
            for number, face in enumerate(result["faces"], start=1):
                box = ", ".join(f"{value:.0f}" for value in face["box"])
                rows.add_row(name, str(number), face["predicted_emotion"], f"{face['confidence']:.1%}", box)
        console.print(rows)
    else:
        for result in results:
            console.print(Text(f"{result['path']}: {result['error']}", style="red"), soft_wrap=True)
    text = ", ".join(f"{counts[noun]} {noun}{'' if counts[noun] == 1 else 's'}" for noun in ("image", "face", "error"))
    console.print(text, highlight=False)
