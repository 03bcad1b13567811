"""FER2013 in the form of Kaggle's CSV, and the official names of its files."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np

from cmaen.data.drawing import split_off
from cmaen.data.encodings import bound_lines, open_file, open_text
from cmaen.data.labelling import Labelling
from cmaen.data.reading import Entries, Face, collect
from cmaen.data.splits import FaceSet, Split, split_named
from cmaen.data.table import header_of
from cmaen.errors import DataError

KAGGLE_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The emotions in the order of the ids in Kaggle's CSV, which is not :data:`cmaen.types.EMOTIONS`."""
_COLUMNS = {"emotion", "pixels"}
_SPLIT = "Usage"
_SIDE = 48


def official_split(name: str) -> Split | None:
    """Return the split given by a file's official prefix, such as ``Training_``."""
    return next((split for split in Split if name.startswith(f"{split.value}_")), None)


def is_kaggle_csv(columns: Iterable[str]) -> bool:
    """Whether a CSV with these columns is Kaggle's FER2013, or a part of it without the column ``Usage``."""
    return {name.strip() for name in columns} >= _COLUMNS


def load_kaggle_csv(path: Path, split: Split, labels: Sequence[str] | str | None = None) -> FaceSet:
    """Load the faces of one split of the CSV with the columns ``emotion``, ``pixels`` and ``Usage``.

    If there is no ``Usage``, as in ``train.csv`` of the competition, or if none of its values stands for validation, a
    tenth of the training faces is drawn for validation, see :func:`cmaen.data.drawing.split_off`.

    Args:
        path: The CSV file.
        split: The split to load.
        labels: The classes, see :class:`Labelling`; the ids of the CSV are converted to their order.

    Raises:
        DataError: The file cannot be read as such a CSV, or none of its emotions is one of the classes.
    """
    labelling = Labelling.of(KAGGLE_EMOTIONS, labels)
    skipped, there = Counter[str](), Counter[Split | None]()
    with _rows(path) as rows:
        faces = collect(split, _rows_of(rows, split, labelling, skipped, there), classes=labelling.classes)
    replace(labelling, skipped=dict(skipped)).say_skipped(advise=labels is None)
    if split in (Split.TEST, Split.ALL) or there[Split.VALIDATION] or not (there[Split.TRAIN] or there[None]):
        return faces
    if there[Split.TRAIN] and split is Split.VALIDATION:
        with _rows(path) as rows:
            faces = collect(split, _rows_of(rows, Split.TRAIN, labelling, skipped, there), classes=labelling.classes)
    return split_off(faces, split)


def splits_of_kaggle_csv(path: Path) -> Counter[Split | None]:
    """Count the faces of each split; of ``None`` if there is no ``Usage``.

    Raises:
        DataError: See :func:`load_kaggle_csv`.
    """
    with _rows(path) as rows:
        return Counter(split_named(row[_SPLIT]) if _SPLIT in row else None for row in rows)


@contextmanager
def _rows(path: Path) -> Iterator[Iterator[dict[str, str]]]:
    """Open the rows of the CSV as dicts by column, which can be read inside the ``with`` block."""
    try:
        delimiter = header_of(partial(open_file, path), str(path)).delimiter
        with open_text(partial(open_file, path), whole=False, errors="strict") as file:
            lines = (next(csv.reader([line], delimiter=delimiter, skipinitialspace=True)) for line in _lines_of(file))
            columns = [name.strip() for name in next(lines, [])]
            if missing := _COLUMNS - set(columns):
                raise DataError(
                    f"{path} lacks the columns {sorted(missing)}; Kaggle's CSV has emotion, pixels and Usage"
                )
            empty = dict.fromkeys(columns, "")
            yield ({**empty, **dict(zip(columns, line, strict=False))} for line in lines)
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as Kaggle's CSV: {error}") from error


def _lines_of(file: TextIO) -> Iterator[str]:
    """Yield each line that is not empty."""
    return (line for line in bound_lines(file) if line.strip())


def _rows_of(
    rows: Iterable[dict[str, str]],
    split: Split,
    labelling: Labelling,
    skipped: Counter[str],
    there: Counter[Split | None],
) -> Entries:
    """Yield the faces of a split, or all faces without ``Usage``. Faces of unwanted classes are counted in ``skipped``,
    and all faces by their split in ``there``.
    """

    def read(row: dict[str, str]) -> Face:
        if _SPLIT in row and split_named(row[_SPLIT]) is None:
            raise DataError(f"{row[_SPLIT]!r} is not a split")
        name = _emotion_of(row)
        pixels = np.array(row.get("pixels", "").split(), dtype=np.uint8)
        index = labelling.index(name)
        assert index is not None
        return index, pixels.reshape(_SIDE, _SIDE)

    for number, row in enumerate(rows):
        if _SPLIT in row:
            found = split_named(row[_SPLIT])
            if found is not None:
                there[found] += 1
                if split not in (found, Split.ALL):
                    continue
        else:
            there[None] += 1
            if split is Split.TEST:
                continue
        with suppress(DataError, ValueError):  # a faulty row is reported when it is read
            if labelling.index(name := _emotion_of(row)) is None:
                skipped[name] += 1
                continue
        yield f"fer{number:07d}.png", partial(read, row)  # FER+'s own names differ, see cmaen.data.ferplus


def _emotion_of(row: dict[str, str]) -> str:
    label = int(row.get("emotion", ""))
    if not 0 <= label < len(KAGGLE_EMOTIONS):
        raise DataError(f"{label} is not an emotion; emotions are 0 to {len(KAGGLE_EMOTIONS) - 1}")
    return KAGGLE_EMOTIONS[label]
