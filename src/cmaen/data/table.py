"""CSVs of faces in their usual variants: commas, semicolons or tabs, and various names of columns."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmaen.errors import DataError
from cmaen.images import read_image
from cmaen.naming import make_unique
from cmaen.types import Image

_COLUMNS = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name"),
        *("imagepath", "imagename", "image_file", "img", "img_path", "img_name", "pth", "picture", "photo"),
    ),
    "label": ("label", "emotion", "class", "expression", "class_name", "label_name", "labels", "category", "target"),
    "split": ("split", "usage", "subset", "set", "partition"),
    "group": ("group",),
}
"""Accepted names of each column; the first one present is used, and case does not matter."""
_BOX = ("x", "y", "width", "height")
_DELIMITERS = ",;\t|"
_LONGEST_LINE = 100_000
_WHOLE = re.compile(r"(-?\d+)\.0+")


class Row(NamedTuple):
    """A line of a CSV of faces.

    Attributes:
        name: Its path, made unique among all lines.
        values: Values by column, under the column's own name and, if it has a meaning here, also under ``path``,
            ``label``, ``split`` or ``group``.
        boxed: Whether the line names a box in the picture.
    """

    name: str
    values: dict[str, str]
    boxed: bool


def columns_of(path: Path) -> list[str]:
    """Read the column names of a CSV.

    Raises:
        DataError: The file cannot be read as a CSV.
    """
    with _name_errors(path):
        return _header(path)[0]


def rows_of(path: Path) -> list[Row]:
    """Read the lines of a CSV of faces.

    Raises:
        DataError: The file cannot be read as a CSV, or has no column of paths or of labels.
    """
    columns = columns_of(path)
    lower = [column.lower() for column in columns]
    meant = {
        meaning: columns[lower.index(found)]
        for meaning, names in _COLUMNS.items()
        if (found := next((name for name in names if name in lower), None)) is not None
    }
    if missing := sorted({"path", "label"} - set(meant)):
        raise DataError(
            f"{path} lacks the columns {missing}: a CSV of faces has path and label, and Kaggle's FER2013 has emotion, "
            f"pixels and Usage; this one has {', '.join(columns) or 'none'}"
        )
    has_box = set(_BOX) <= set(lower)
    boxes = {key: columns[lower.index(key)] for key in _BOX} if has_box else {}
    rows = []
    for number, line in _lines_of(path):
        values = line | {meaning: line.get(column, "") for meaning, column in (meant | boxes).items()}
        whole = _WHOLE.fullmatch(values["label"])  # pandas writes 3.0 if a column of numbers has a gap
        values["label"] = whole.group(1) if whole else values["label"]
        boxed = any(values.get(key) for key in boxes)
        name = values["path"].replace("\\", "/")  # Windows accepts both separators
        rows.append(Row(f"{name} (row {number})" if boxed else name, values, boxed))
    names = make_unique([row.name for row in rows])
    return [row._replace(name=name) for row, name in zip(rows, names, strict=True)]


def cut(root: Path, row: Row) -> Image:
    """Read the picture of a row, or the box in it, RGB uint8 [H, W, 3]; its path is relative to ``root``.

    Raises:
        ImageError: The picture cannot be read.
        DataError: The box lies outside the picture.
        ValueError: The box is not a box.
    """
    path = root / row.values["path"]
    if os.sep == "/" and "\\" in row.values["path"] and not os.path.exists(path):  # noqa: PTH110 - accepts any text without an error
        path = root / row.values["path"].replace("\\", "/")  # written on Windows
    image = read_image(path)
    if not row.boxed:
        return image
    left, top, width, height = (round(float(row.values[key])) for key in _BOX)
    part = image[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if not part.size:
        raise DataError(f"its box lies outside the picture, which has {image.shape[1]} x {image.shape[0]} pixels")
    return np.ascontiguousarray(part)


def _lines_of(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a CSV by number, from 2; a truncated line does not affect the others."""
    with _name_errors(path):
        columns, delimiter = _header(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            next(reader, None)
            for number, line in enumerate((line for line in reader if line), 2):
                yield (
                    number,
                    dict.fromkeys(columns, "") | dict(zip(columns, (value.strip() for value in line), strict=False)),
                )


def _header(path: Path) -> tuple[list[str], str]:
    """Return the column names and the delimiter."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        line = file.readline(_LONGEST_LINE)
    delimiter = max(_DELIMITERS, key=line.count)  # a comma if there is a single column
    return [
        name.strip() for name in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    ], delimiter


@contextmanager
def _name_errors(path: Path) -> Iterator[None]:
    """Turn errors in reading a file into an error that names it."""
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV: {error}") from error
