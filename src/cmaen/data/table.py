"""CSVs of faces in their usual variants, and JSON lines: any delimiter and encoding, and various names of columns."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmaen.data.encodings import READ_ERRORS, Opener, bound_lines, open_file, open_text
from cmaen.errors import DataError
from cmaen.images.reader import read_image
from cmaen.naming import make_unique
from cmaen.types import Image

SUFFIXES = (".csv", ".tsv", ".jsonl")
"""Suffixes of the files that are tables."""
COLUMNS = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name"),
        *("imagepath", "imagename", "image_file", "img", "img_path", "img_name", "pth", "picture", "photo"),
        *("image_file_name", "image file", "image name", "image path", "file name", "file path", "relative_path"),
        *("subdirectory_filepath", "image_filename", "img_file", "face", "face_path"),
    ),
    "label": (
        *("label", "emotion", "class", "expression", "class_name", "label_name", "labels", "category", "target"),
        *("emotion_label", "expression_label", "emotions", "facial_expression", "emotion_name", "classname"),
        *("dominant_emotion", "expr", "class name", "emotion label"),
    ),
    "split": ("split", "usage", "subset", "set", "partition", "fold_name", "phase", "data_split"),
    "group": (
        *("group", "person", "subject", "identity", "person_id", "subject_id", "identity_id", "participant"),
        *("participant_id", "actor", "actor_id", "subjectid", "personid"),
    ),
}
"""Accepted names of each column; the first one present is used, and case does not matter."""
BOX = {
    "x": ("x", "left", "face_x", "xmin", "x_min", "x1", "box_x", "bbox_x", "face_box_left"),
    "y": ("y", "top", "face_y", "ymin", "y_min", "y1", "box_y", "bbox_y", "face_box_top"),
    "width": ("width", "w", "face_width", "box_width", "bbox_width"),
    "height": ("height", "h", "face_height", "box_height", "bbox_height"),
    "right": ("right", "xmax", "x_max", "x2", "face_box_right"),
    "bottom": ("bottom", "ymax", "y_max", "y2", "face_box_bottom"),
}
"""The same for the parts of a box: ``x`` and ``y`` with ``width`` and ``height``, or with ``right`` and ``bottom``."""
_DELIMITERS = ",;\t|"
_WHOLE = re.compile(r"(-?\d+)\.0+")


class Box(NamedTuple):
    """A box in a picture, in pixels; its edges may lie outside the picture."""

    left: float
    top: float
    width: float
    height: float


class Row(NamedTuple):
    """A line of a table of faces.

    Attributes:
        name: Its path, made unique among all lines.
        values: Values by column, under the column's own name and, if it has a meaning here, also under ``path``,
            ``label``, ``split``, ``group`` or that of a part of the box.
        boxed: Whether the line names a box in the picture.
    """

    name: str
    values: dict[str, str]
    boxed: bool


class Header(NamedTuple):
    """The names of a table's columns, and its delimiter."""

    columns: list[str]
    delimiter: str


def columns_of(path: Path) -> list[str]:
    """Read the column names of a table.

    Raises:
        DataError: The file cannot be read as a table.
    """
    return header_of(partial(open_file, path), str(path)).columns


def columns_of_text(opener: Opener, where: str) -> list[str]:
    """Read the column names of a text that may be a table; none if it cannot be read as one."""
    try:
        return header_of(opener, where).columns
    except DataError:
        return []


def rows_of(path: Path) -> list[Row]:
    """Read the lines of a table of faces.

    Raises:
        DataError: The file cannot be read as a table, or has no column of paths or of labels.
    """
    opener = partial(open_file, path)
    return make_rows(header_of(opener, str(path)).columns, lines_of(opener, str(path)), str(path))


def make_rows(columns: list[str], lines: Iterable[tuple[int, dict[str, str]]], where: str) -> list[Row]:
    """Understand the lines of a table of faces.

    Args:
        columns: Names of its columns.
        lines: Its lines by number, as :func:`lines_of` yields them.
        where: Name of the file, for errors.

    Raises:
        DataError: There is no column of paths or of labels.
    """
    meant = find_columns(columns, COLUMNS)
    if missing := sorted({"path", "label"} - set(meant)):
        raise DataError(
            f"{where} lacks the columns {missing}: a CSV of faces has path and label, and Kaggle's FER2013 has "
            f"emotion, pixels and Usage; this one has {', '.join(columns) or 'none'}"
        )
    boxes = _find_box(columns)
    rows = []
    for number, line in lines:
        values = line | {meaning: line.get(column, "") for meaning, column in (meant | boxes).items()}
        values["label"] = to_whole(values["label"])
        boxed = any(values.get(key) for key in boxes)
        name = values["path"].replace("\\", "/")  # Windows accepts both separators
        rows.append(Row(f"{name} (row {number})" if boxed else name, values, boxed))
    names = make_unique([row.name for row in rows])
    return [row._replace(name=name) for row, name in zip(rows, names, strict=True)]


def is_table_of_faces(columns: list[str]) -> bool:
    """Whether these columns hold paths and labels."""
    return {"path", "label"} <= set(find_columns(columns, COLUMNS))


def find_columns(columns: list[str], wanted: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Find the columns of each meaning by their usual names; meanings without a column are left out."""
    lower = [column.lower() for column in columns]
    return {
        meaning: columns[lower.index(found)]
        for meaning, names in wanted.items()
        if (found := next((name for name in names if name in lower), None)) is not None
    }


def _find_box(columns: list[str]) -> dict[str, str]:
    """Find the columns of a box; none unless they describe a whole one."""
    found = find_columns(columns, BOX)
    for ends in ({"width", "height"}, {"right", "bottom"}):
        if {"x", "y"} | ends <= set(found):
            return {key: found[key] for key in ("x", "y", *sorted(ends))}
    return {}


def to_whole(label: str) -> str:
    """Return a whole number without decimals: pandas writes ``3.0`` if a column of numbers has a gap."""
    whole = _WHOLE.fullmatch(label)
    return whole.group(1) if whole else label


def box_of(values: Mapping[str, str]) -> Box:
    """Read the box of a line.

    Raises:
        ValueError: It is not a box of finite numbers.
    """
    left, top = float(values["x"]), float(values["y"])
    if "width" in values:
        return check_box(left, top, float(values["width"]), float(values["height"]))
    return check_box(left, top, float(values["right"]) - left, float(values["bottom"]) - top)


def check_box(left: float, top: float, width: float, height: float) -> Box:
    """Return a box, which must be finite.

    Raises:
        ValueError: A number is not finite.
    """
    if not np.isfinite([left, top, width, height]).all():
        raise ValueError(f"a box needs finite numbers, not {left}, {top}, {width} x {height}")
    return Box(left, top, width, height)


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
    return cut_box(image, box_of(row.values)) if row.boxed else image


def cut_box(image: Image, box: Box) -> Image:
    """Cut a box out of a picture, RGB uint8 [H, W, 3] -> [h, w, 3]; parts outside the picture are left out.

    Raises:
        DataError: The box lies outside the picture.
    """
    left, top, width, height = map(round, box)
    part = image[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if not part.size:
        raise DataError(f"its box lies outside the picture, which has {image.shape[1]} x {image.shape[0]} pixels")
    return np.ascontiguousarray(part)


def lines_of(opener: Opener, where: str, columns: list[str] | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a table by number, from 2; a truncated line does not affect the others.

    Args:
        opener: Opens the file.
        where: Name of the file, which tells JSON lines by its suffix.
        columns: Names of the columns of a CSV with commas and without a header, whose lines are numbered from 1.

    Raises:
        DataError: The file cannot be read as a table.
    """
    with _name_errors(where):
        if where.lower().endswith(".jsonl"):
            yield from _json_lines(opener)
            return
        names, delimiter = header_of(opener, where) if columns is None else Header(columns, ",")
        with open_text(opener) as file:
            reader = csv.reader(bound_lines(file), delimiter=delimiter, skipinitialspace=True)
            if columns is None:
                next(reader, None)
            for number, line in enumerate((line for line in reader if line), 2 if columns is None else 1):
                values = zip(names, (value.strip() for value in line), strict=False)
                yield number, dict.fromkeys(names, "") | dict(values)


def header_of(opener: Opener, where: str) -> Header:
    """Read the column names and the delimiter of a table.

    Raises:
        DataError: The file cannot be read as a table.
    """
    with _name_errors(where), open_text(opener, whole=False) as file:
        if where.lower().endswith(".jsonl"):
            return Header(list(next((line for _, line in _json_lines(opener)), {})), ",")
        line = next(bound_lines(file), "")
        delimiter = max(_DELIMITERS, key=line.count)  # a comma if there is a single column
        names = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        return Header([name.strip() for name in names], delimiter)


def _json_lines(opener: Opener) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the objects of JSON lines as text; a line that is none has no values, and nested values are left out."""
    with open_text(opener) as file:
        for number, line in enumerate(bound_lines(file), 1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                values = None
            pairs = values.items() if isinstance(values, dict) else ()
            yield number, {key: str(value).strip() for key, value in pairs if isinstance(value, str | int | float)}


@contextmanager
def _name_errors(where: str) -> Iterator[None]:
    """Turn errors in reading a file into an error that names it."""
    try:
        yield
    except READ_ERRORS as error:
        raise DataError(f"{where} cannot be read as a CSV: {error}") from error
