"""FER2013 as Kaggle's CSV, and the official names of its files."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np

from cmaen.data.drawing import split_off
from cmaen.data.labelling import Labelling
from cmaen.data.reading import Entries, Face, collect
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import DataError

KAGGLE_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The order of the ids in the Kaggle CSV, which is not :data:`cmaen.types.EMOTIONS`."""
_COLUMNS = {"emotion", "pixels"}
_SPLIT = "Usage"
_SIDE = 48
_LONGEST_LINE = 100_000


def official_split(name: str) -> Split | None:
    """The split that a file's official prefix tells, like ``Training_``."""
    return next((split for split in Split if name.startswith(f"{split.value}_")), None)


def is_kaggle_csv(columns: Iterable[str]) -> bool:
    """Whether a CSV with these columns is FER2013 as Kaggle has it, or a part of it without the column ``Usage``."""
    return {name.strip() for name in columns} >= _COLUMNS


def load_kaggle_csv(path: Path, split: Split, labels: Sequence[str] | str | None = None) -> FaceSet:
    """The faces of one split of the CSV with the columns ``emotion``, ``pixels`` and ``Usage``.

    Where there is no ``Usage``, as in ``train.csv`` of the competition, a tenth validates, see
    :func:`cmaen.data.drawing.split_off`.

    Args:
        path: The file.
        split: Which one.
        labels: The classes, see :class:`Labelling`; the ids of the CSV are brought to their order.

    Raises:
        DataError: The file cannot be read as one, or its emotions are none of the classes.
    """
    labelling = Labelling.of(KAGGLE_EMOTIONS, labels)
    skipped = Counter[str]()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = _lines_of(file)
            columns = [name.strip() for name in next(lines, [])]
            if missing := _COLUMNS - set(columns):
                raise DataError(
                    f"{path} lacks the columns {sorted(missing)}; the Kaggle CSV has emotion, pixels and Usage"
                )
            wanted = split if _SPLIT in columns else None
            if wanted is None and split is Split.TEST:
                return collect(split, (), classes=labelling.classes)
            rows = (dict(zip(columns, line, strict=False)) for line in lines)
            faces = collect(split, _rows_of(rows, wanted, labelling, skipped), classes=labelling.classes)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as the Kaggle CSV: {error}") from error
    replace(labelling, skipped=dict(skipped)).say_skipped()
    return faces if wanted is not None else split_off(faces, [None] * len(faces), split)


def _lines_of(file: TextIO) -> Iterator[list[str]]:
    """The fields of each line that is not empty; a line of any length takes little memory."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise csv.Error(f"it has a line of {_LONGEST_LINE:,} characters or more")
        if line.strip():
            yield next(csv.reader([line], skipinitialspace=True))


def _rows_of(
    rows: Iterable[dict[str, str]], split: Split | None, labelling: Labelling, skipped: Counter[str]
) -> Entries:
    """The faces of a split, or of all rows; those of a class that is not asked for are only counted."""

    def read(row: dict[str, str]) -> Face:
        if split is not None:
            Split.parse(row.get(_SPLIT, ""))
        name = _emotion_of(row)
        pixels = np.array(row.get("pixels", "").split(), dtype=np.uint8)
        index = labelling.index(name)
        assert index is not None
        return index, pixels.reshape(_SIDE, _SIDE)

    others = {other.value for other in Split if other is not split} if split is not None else set[str]()
    for number, row in enumerate(rows):
        if row.get(_SPLIT, "").strip() in others:
            continue
        with suppress(DataError, ValueError):  # what is wrong with a row is said when it is read
            if labelling.index(name := _emotion_of(row)) is None:
                skipped[name] += 1
                continue
        yield f"fer{number:07d}.png", partial(read, row)  # the name FER+ gives to the row


def _emotion_of(row: dict[str, str]) -> str:
    label = int(row.get("emotion", ""))
    if not 0 <= label < len(KAGGLE_EMOTIONS):
        raise DataError(f"{label} is no emotion; they are 0 to {len(KAGGLE_EMOTIONS) - 1}")
    return KAGGLE_EMOTIONS[label]
