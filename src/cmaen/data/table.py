"""CSVs of faces as people have them: commas, semicolons or tabs, and columns under one usual name or another."""

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
"""What a column may be called, the first of them that is there being taken; capitals do not matter."""
_BOX = ("x", "y", "width", "height")
_DELIMITERS = ",;\t|"
_LONGEST_LINE = 100_000
_WHOLE = re.compile(r"(-?\d+)\.0+")


class Row(NamedTuple):
    """A line of a CSV of faces.

    Attributes:
        name: Its path, told from that of every other line.
        values: By column, under the column's own name and, of those that have a meaning here, under that one: ``path``,
            ``label``, ``split``, ``group``.
        boxed: Whether it names a box in the picture.
    """

    name: str
    values: dict[str, str]
    boxed: bool


def columns_of(path: Path) -> list[str]:
    """The columns of a CSV.

    Raises:
        DataError: It cannot be read as one.
    """
    with _name_errors(path):
        return _header(path)[0]


def rows_of(path: Path) -> list[Row]:
    """The lines of a CSV of faces.

    Raises:
        DataError: It cannot be read as one, or says neither where the faces are nor what they show.
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
            f"{path} lacks the columns {missing}: a CSV of faces has path and label, Kaggle's FER2013 emotion, pixels "
            f"and Usage; there is {', '.join(columns) or 'nothing'}"
        )
    has_box = set(_BOX) <= set(lower)
    boxes = {key: columns[lower.index(key)] for key in _BOX} if has_box else {}
    rows = []
    for number, line in _lines_of(path):
        values = line | {meaning: line.get(column, "") for meaning, column in (meant | boxes).items()}
        whole = _WHOLE.fullmatch(values["label"])  # pandas writes 3.0 where a column of numbers has a gap
        values["label"] = whole.group(1) if whole else values["label"]
        boxed = any(values.get(key) for key in boxes)
        name = values["path"].replace("\\", "/")  # Windows writes the one, and reads both
        rows.append(Row(f"{name} (row {number})" if boxed else name, values, boxed))
    names = make_unique([row.name for row in rows])
    return [row._replace(name=name) for row, name in zip(rows, names, strict=True)]


def cut(root: Path, row: Row) -> Image:
    """The picture of a row, or the box in it, RGB uint8 [H, W, 3]; its path is looked for in ``root``.

    Raises:
        ImageError: The picture cannot be used.
        DataError: The box lies outside of it.
        ValueError: The box is none.
    """
    path = root / row.values["path"]
    if os.sep == "/" and "\\" in row.values["path"] and not os.path.exists(path):  # noqa: PTH110 - of any text, without an error
        path = root / row.values["path"].replace("\\", "/")  # written on Windows
    image = read_image(path)
    if not row.boxed:
        return image
    left, top, width, height = (round(float(row.values[key])) for key in _BOX)
    part = image[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if not part.size:
        raise DataError(f"its box lies outside of the picture, which has {image.shape[1]} x {image.shape[0]} pixels")
    return np.ascontiguousarray(part)


def _lines_of(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV by their numbers, from 2; one that is cut short costs no other."""
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
    """The columns, and what separates them."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        line = file.readline(_LONGEST_LINE)
    delimiter = max(_DELIMITERS, key=line.count)  # a comma where there is a single column
    return [
        name.strip() for name in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    ], delimiter


@contextmanager
def _name_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a file into an error that names it."""
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV: {error}") from error
