"""FER2013 as Kaggle's CSV, and the official names of its files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np

from cmaen.data.reading import Entries, Face, collect
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import DataError
from cmaen.types import EMOTIONS

KAGGLE_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The order of the ids in the Kaggle CSV, which is not :data:`cmaen.types.EMOTIONS`."""
_COLUMNS = {"emotion", "pixels", "Usage"}
_SIDE = 48
_LONGEST_LINE = 100_000


def official_split(name: str) -> Split | None:
    """The split that a file's official prefix tells, like ``Training_``."""
    return next((split for split in Split if name.startswith(f"{split.value}_")), None)


def is_kaggle_csv(columns: Iterable[str]) -> bool:
    """Whether a CSV with these columns is FER2013 as Kaggle has it."""
    return {name.strip() for name in columns} >= _COLUMNS


def load_kaggle_csv(path: Path, split: Split) -> FaceSet:
    """The faces of one split of the CSV with the columns ``emotion``, ``pixels`` and ``Usage``.

    Raises:
        DataError: The file cannot be read as one.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = _lines_of(file)
            columns = [name.strip() for name in next(lines, [])]
            if missing := _COLUMNS - set(columns):
                raise DataError(
                    f"{path} lacks the columns {sorted(missing)}; the Kaggle CSV has emotion, pixels and Usage"
                )
            return collect(split, _rows_of((dict(zip(columns, line, strict=False)) for line in lines), split))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as the Kaggle CSV: {error}") from error


def _lines_of(file: TextIO) -> Iterator[list[str]]:
    """The fields of each line that is not empty; a line of any length takes little memory."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise csv.Error(f"it has a line of {_LONGEST_LINE:,} characters or more")
        if line.strip():
            yield next(csv.reader([line], skipinitialspace=True))


def _rows_of(rows: Iterable[dict[str, str]], split: Split) -> Entries:
    def read(row: dict[str, str]) -> Face:
        Split.parse(row.get("Usage", ""))
        label = int(row.get("emotion", ""))
        if not 0 <= label < len(KAGGLE_EMOTIONS):
            raise DataError(f"{label} is no emotion; they are 0 to {len(KAGGLE_EMOTIONS) - 1}")
        pixels = np.array(row.get("pixels", "").split(), dtype=np.uint8)
        return EMOTIONS.index(KAGGLE_EMOTIONS[label]), pixels.reshape(_SIDE, _SIDE)

    others = {other.value for other in Split if other is not split}
    for number, row in enumerate(rows):
        if row.get("Usage", "").strip() not in others:
            yield f"fer{number:07d}.png", partial(read, row)  # the name FER+ gives to the row
