"""Writing predictions: JSON, JSON Lines or CSV by the file's suffix, and annotated pictures."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from cmaen.errors import OutputError
from cmaen.files import replacing, write_text
from cmaen.types import EMOTIONS, Image

FORMATS = (".json", ".jsonl", ".csv")
CSV_COLUMNS = (
    "path",
    "status",
    "error",
    "face",
    "x",
    "y",
    "width",
    "height",
    "predicted_emotion",
    "confidence",
    *EMOTIONS,
)


def check_output(path: Path) -> None:
    """Refuse, before the work begins, an output that could not be written at its end; makes its folder.

    Raises:
        OutputError: The suffix names no format of :data:`FORMATS`, or the place cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path}: the results can be written as {', '.join(FORMATS)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be made: {error.strerror}") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path} cannot be written; choose another place")


def write_results(path: Path, results: list[dict[str, Any]]) -> None:
    """Write result dicts, each with its ``path``, whole or not at all.

    JSON is one list; JSON Lines one dict a line; CSV one row a face, and one for an image without any.

    Raises:
        OutputError: As :func:`check_output`, or the disk is full.
    """
    check_output(path)
    match path.suffix.lower():
        case ".json":
            text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
        case ".jsonl":
            text = "".join(json.dumps(result, ensure_ascii=False) + "\n" for result in results)
        case _:
            buffer = io.StringIO(newline="")
            writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(row for result in results for row in _rows(result))
            text = buffer.getvalue()
    write_text(path, text)


def write_picture(path: Path, image: Image) -> None:
    """Write an RGB picture; the suffix names the format.

    Raises:
        OutputError: The suffix names no picture format, or the file cannot be written.
    """
    try:
        with replacing(path) as temporary:
            PILImage.fromarray(image).save(temporary)
    except ValueError as error:
        raise OutputError(f"{path}: {error}; use .png or .jpg") from error


def _rows(result: dict[str, Any]) -> Iterable[dict[str, Any]]:
    common = {key: result[key] for key in ("path", "status", "error")}
    if not result["faces"]:
        yield common
    for number, face in enumerate(result["faces"]):
        box = dict(zip(("x", "y", "width", "height"), face["box"], strict=True))
        emotion = {key: face[key] for key in ("predicted_emotion", "confidence")}
        yield {**common, "face": number, **box, **emotion, **face["probabilities"]}
