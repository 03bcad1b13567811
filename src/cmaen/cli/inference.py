"""``cmaen inference``: faces in pictures."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from cmaen.cli.console import Checkpoint, EngineName, Verbose, log, progress
from cmaen.errors import CmaenError, OutputError


def inference(
    image: Annotated[Path | None, typer.Option(help="One image.")] = None,
    directory: Annotated[Path | None, typer.Option(help="All images of a folder and the folders in it.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the results to a .json, .jsonl or .csv file.")] = None,
    annotated: Annotated[
        Path | None, typer.Option(help="Draw the faces: a picture file with --image, a folder with --directory.")
    ] = None,
    detect: Annotated[bool, typer.Option(help="Find the faces first; --no-detect: the images are face crops.")] = True,
    detector: Annotated[str, typer.Option(help="auto, centerface, haar, or yunet:MODEL.onnx.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images whose faces are judged together.")] = 32,
    checkpoint: Checkpoint = None,
    engine: EngineName = "onnx",
    verbose: Verbose = False,
) -> None:
    """Recognise the emotions of the faces in an image or in a folder of images."""
    log(verbose)
    from cmaen.images import printable
    from cmaen.inference.outputs import check_output, write_results
    from cmaen.inference.predictor import EmotionPredictor

    if (image is None) == (directory is None):
        raise CmaenError("give either --image or --directory")
    if output is not None:
        check_output(output)
    paths = [image] if image is not None else _images_in(directory or Path())
    predictor = EmotionPredictor(checkpoint, detector=detector, engine=engine)
    results = []
    predictions = predictor.predict_each(paths, detect, batch_size)
    for path, prediction in zip(paths, progress(predictions, "images", len(paths)), strict=True):
        result = {"path": printable(path), **prediction.as_dict()}
        results.append(result)
        if annotated is not None and result["faces"]:
            _draw(path, result, annotated if image is not None else annotated / path.relative_to(directory or Path()))
    if output is not None:
        write_results(output, results)
    _show(results, quiet=output is not None and image is None)
    if not any(result["status"] != "error" for result in results):
        raise typer.Exit(1)


def _images_in(folder: Path) -> list[Path]:
    from cmaen.images import is_image_name

    if not folder.is_dir():
        raise CmaenError(f"{folder} is not a folder; for one image use --image")
    paths = sorted(path for path in folder.rglob("*") if is_image_name(path) and not path.is_dir())
    if not paths:
        raise CmaenError(f"{folder} holds no file whose name is an image's")
    return paths


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


def _show(results: list[dict[str, Any]], *, quiet: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not quiet:
        table = Table("image", "face", "emotion", "confidence", "box: x, y, width, height")
        for result in results:
            name = Text(Path(result["path"]).name)
            if not result["faces"]:
                table.add_row(name, "", Text(result["error"] or "no face", style="red" if result["error"] else ""))
            for number, face in enumerate(result["faces"], start=1):
                box = ", ".join(f"{value:.0f}" for value in face["box"])
                table.add_row(name, str(number), face["predicted_emotion"], f"{face['confidence']:.1%}", box)
        console.print(table)
    failed = [result for result in results if result["status"] == "error"]
    if quiet:
        for result in failed:
            console.print(Text(f"{result['path']}: {result['error']}", style="red"), soft_wrap=True)
    faces = sum(len(result["faces"]) for result in results)
    counts = {"image": len(results), "face": faces, "error": len(failed)}
    text = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
    console.print(text, highlight=False)
