"""``cmaen inference`` over pictures: listing, judging, drawing and showing them."""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import tee
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cmaen.cli.console import extra, progress
from cmaen.errors import CmaenError, OutputError
from cmaen.images import is_image_name, printable, read_image
from cmaen.inference.annotate import annotate
from cmaen.inference.outputs import ResultFile, write_picture
from cmaen.inference.predictor import EmotionPredictor


def judge_pictures(
    predictor: EmotionPredictor,
    *,
    image: Path | None,
    directory: str | None,
    output: Path | None,
    annotated: Path | None,
    detect: bool,
    batch_size: int,
    resume: bool,
    elsewhere: dict[str, Any] | None,
) -> None:
    """Judge one image or all of a folder, and show or write the results; the options are those of the verb.

    Args:
        predictor: For this machine.
        elsewhere: Arguments of the predictors of a cluster, which work in its place.
    """
    root = Path(directory or ".")
    remote = "://" in (directory or "")
    if remote and (elsewhere is None or annotated is not None):
        raise CmaenError(f"{directory} is an address: that needs --engine ray, and cannot be annotated")

    def listed() -> Iterator[Path | str]:
        if image is not None:
            return iter([image])
        return _images_at(str(directory)) if remote else _images_in(root)

    if next(listed(), None) is None:
        raise CmaenError(f"{directory} holds no file whose name is an image's")
    counts: Counter[str] = Counter()
    shown = []
    with ResultFile(output, resume=resume) if output is not None else nullcontext() as file:
        left, again = tee(path for path in listed() if file is None or printable(path) not in file)
        total = sum(1 for _ in listed()) if sys.stderr.isatty() else None
        if elsewhere is None:
            predictions = predictor.predict_each(left, detect, batch_size)
            answers: Iterator[dict[str, Any]] = (prediction.as_dict() for prediction in predictions)
        else:
            answers = _on_ray(left, detect=detect, batch_size=batch_size, **elsewhere)
        for path, answer in zip(again, progress(answers, "images", total), strict=False):
            result = {"path": printable(path), **answer}
            counts.update(image=1, face=len(result["faces"]), error=int(result["status"] == "error"))
            if annotated is not None and result["faces"]:
                _draw(Path(path), result, annotated if image is not None else annotated / Path(path).relative_to(root))
            if file is not None:
                file.write(result)
            if file is None or image is not None or result["error"]:
                shown.append(result)
    _show(shown, counts, table=output is None or image is not None)
    if counts["error"] == counts["image"] > 0:
        raise typer.Exit(1)


def _on_ray(images: Iterator[Path | str], **options: Any) -> Iterator[dict[str, Any]]:
    with extra("the engine ray", "scale"):
        from cmaen.inference.cluster import predict_on_ray
    return predict_on_ray([str(image) for image in images], **options)


def _images_at(address: str) -> Iterator[Path | str]:
    with extra("the engine ray", "scale"):
        from cmaen.inference.cluster import images_at
    try:
        yield from images_at(address)
    except Exception as error:  # each storage has errors of its own
        raise CmaenError(f"{address} cannot be read: {error}") from error


def _images_in(folder: Path) -> Iterator[Path | str]:
    """The files of a folder and of those in it whose names are images', in order; never the list of them all."""
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
    try:
        if target.exists() and target.samefile(path):
            raise OutputError(f"{target} is the image itself; choose another place for the annotated picture")
        write_picture(target, annotate(read_image(path), result["faces"]))
    except OutputError as error:
        logging.getLogger(__name__).warning("%s", error)


def _show(results: list[dict[str, Any]], counts: Counter[str], *, table: bool) -> None:
    """The results as a table, or only what went wrong; and how many there were of everything."""
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
