"""AffectNet (Mollahosseini et al., 2017) in both of its forms: annotations as ``.npy`` files, and lists as CSVs.

The smaller form has ``train_set/images/12.jpg`` with ``train_set/annotations/12_exp.npy``, and ``val_set`` likewise;
its pictures are faces. The larger one has pictures in numbered folders, with boxes and labels in ``training.csv`` and
``validation.csv``. Labels 8 to 10 are answers of annotators who saw no emotion; those faces are left out.
"""

from __future__ import annotations

import io
import tokenize
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.lib import format as array_format

from cmaen.data.contents import Files
from cmaen.data.encodings import Opener, read_lines
from cmaen.data.layouts.base import Draft, ListedFace, Reading, find_split, find_tables, show
from cmaen.data.splits import split_named
from cmaen.data.table import Box, box_of, columns_of_text, lines_of, to_whole
from cmaen.listing import name_some
from cmaen.types import CONTEMPT

NAME: Final = "AffectNet"
NUMBERS = {
    **{"0": "neutral", "1": "happy", "2": "sad", "3": "surprise", "4": "fear", "5": "disgust", "6": "angry"},
    "7": CONTEMPT,
}
NO_EMOTION = {"8": "none", "9": "uncertain", "10": "no face"}
COLUMNS = [
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks"),
    *("expression", "valence", "arousal"),
]
"""Columns of the lists, some copies of which lack the header."""
_LARGEST = 4096
_TRIED = 50


def find_annotations(files: Files) -> Reading | None:
    """Recognise annotations as ``.npy`` files, see :class:`cmaen.data.layouts.base.Layout`."""
    pictures = [file for file in files.pictures if file.parent.name.lower() == "images"]
    step = max(1, len(pictures) // _TRIED)
    if not any(files.read(_annotation_of(file), 1) for file in pictures[::step]):
        return None
    draft, read = Draft(NAME, files), []
    for file in pictures:
        annotation = _annotation_of(file)
        data = files.read(annotation, _LARGEST)
        if data is None:
            continue  # a picture without a label
        read.append(annotation)
        label = _read_label(data)
        if label in NO_EMOTION:
            draft.skip(NO_EMOTION[label], file)
        elif label in NUMBERS:
            draft.add(ListedFace(file, NUMBERS[label], find_split(file.parent.parent)))
        else:
            draft.faults.add(f"{show(annotation)}: {label}")
    return draft.finish("labels 0 to 7 of annotations/*_exp.npy, splits by folder", read)


def _annotation_of(file: PurePosixPath) -> PurePosixPath:
    return file.parent.parent / "annotations" / f"{file.stem}_exp.npy"


@lru_cache(maxsize=1024)  # there are hundreds of thousands of files, of a dozen contents
def _read_label(data: bytes) -> str:
    """Read the number of a label, or return why there is none."""
    try:
        file = io.BytesIO(data)
        if array_format.read_magic(file) != (1, 0):
            raise ValueError("it has another version of the format")
        shape, _, dtype = array_format.read_array_header_1_0(file)
        if dtype.hasobject or max(shape, default=1) != 1:  # nothing is unpickled, and nothing large is made
            raise ValueError("it is not one number")
        number = int(float(np.frombuffer(file.read(), dtype, 1).item()))
    except (ValueError, TypeError, OverflowError, SyntaxError, RecursionError, tokenize.TokenError) as error:
        return f"it cannot be read: {error}"[:200]
    known = str(number) in NUMBERS or str(number) in NO_EMOTION
    return str(number) if known else f"{number} is not a label; labels are 0 to 10"


def find_lists(files: Files) -> Reading | None:
    """Recognise lists of pictures, boxes and labels, see :class:`cmaen.data.layouts.base.Layout`."""
    tables = {text: _is_list(text, opener) for text, opener in find_tables(files).items()}
    lists = {text: header for text, header in tables.items() if header is not None}
    if not lists:
        return None
    draft = Draft(NAME, files)
    by_end = {_end_of(file): file for file in files.pictures}
    for text, header in lists.items():
        split = split_named(text.stem.replace("Manually", "").replace("Automatically", "")) or find_split(text.parent)
        lines = lines_of(files.texts[text], text.name, None if header else COLUMNS)
        for number, line in lines:
            values = {key.lower(): value for key, value in line.items() if key != "facial_landmarks"}
            name = values["subdirectory_filepath"].replace("\\", "/")
            label = to_whole(values["expression"])
            file = by_end.get(_end_of(PurePosixPath(name)))
            if label in NO_EMOTION:
                draft.skip(NO_EMOTION[label], file)
            elif label not in NUMBERS:
                draft.faults.add(f"{show(text)}, line {number}: {show(label)!r} is not a label; labels are 0 to 10")
            elif file is None:
                draft.missing.add(show(name))
            else:
                try:
                    box = _box_of(values)
                except ValueError:
                    draft.faults.add(f"{show(text)}, line {number}: its box is not made of numbers")
                    continue
                draft.add(ListedFace(file, NUMBERS[label], split, box=box, row=number))
    names = name_some(list(map(show, lists)))
    return draft.finish(f"labels 0 to 7 and boxes of {names}, splits by their names", lists)


def _is_list(text: PurePosixPath, opener: Opener) -> bool | None:
    """Whether a CSV that is such a list has a header; ``None`` for other CSVs."""
    columns = columns_of_text(opener, text.name)
    if {"subdirectory_filepath", "expression"} <= {column.lower() for column in columns}:
        return True
    if len(columns) <= len(COLUMNS):  # the landmarks, with semicolons between them, are 136 numbers
        return None
    first = next(read_lines(opener, text.name)).strip().split(",")
    looks_alike = len(first) == len(COLUMNS) and "/" in first[0] and ";" in first[5]
    return False if looks_alike and to_whole(first[6]) in {*NUMBERS, *NO_EMOTION} else None


def _box_of(values: dict[str, str]) -> Box | None:
    """Read the box of a line; ``None`` if the picture is the face.

    Raises:
        ValueError: It is not a box.
    """
    keys = {"x": "face_x", "y": "face_y", "width": "face_width", "height": "face_height"}
    if not any(values.get(column) for column in keys.values()):
        return None
    return box_of({key: values.get(column, "") for key, column in keys.items()})


def _end_of(file: PurePosixPath) -> str:
    """Return the last two parts of a path, which are unique in AffectNet."""
    return "/".join(file.parts[-2:]).lower()
