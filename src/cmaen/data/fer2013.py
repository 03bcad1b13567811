"""FER2013 in the three forms that it comes in: a folder tree, a zip of that tree, and the Kaggle CSV."""

from __future__ import annotations

import csv
import logging
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet, Split
from cmaen.errors import CmaenError, DataError, SplitError
from cmaen.images import is_image_name, read_image
from cmaen.preprocessing import GREY_WEIGHTS
from cmaen.types import EMOTIONS

KAGGLE_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The order of the ids in the Kaggle CSV, which is not :data:`cmaen.types.EMOTIONS`."""
KAGGLE_SIDE = 48

log = logging.getLogger(__name__)


def load_fer2013(path: Path, split: Split) -> FaceSet:
    """One split of FER2013.

    Args:
        path: A folder ``train|validation|test/<emotion>/*.{png,jpg}``, a zip of one, or the Kaggle CSV
            (``emotion,pixels,Usage``). Where a file's name has an official prefix (``Training_``, ``PublicTest_``,
            ``PrivateTest_``) the prefix decides on the split, for Kaggle's ``test`` folder holds two of them.
        split: Which one to load.

    Raises:
        DataError: The path holds no FER2013, or its images differ in size.
        SplitError: It has no such split.
    """
    if path.is_dir():
        faces = _load_tree(path, split)
    elif not path.is_file():
        raise DataError(f"{path} does not exist; give the folder, zip or CSV of FER2013")
    elif zipfile.is_zipfile(path):
        faces = _load_zip(path, split)
    elif path.suffix.lower() == ".csv":
        faces = _load_csv(path, split)
    else:
        raise DataError(f"{path} is neither a folder, a zip nor a CSV of FER2013")
    if not len(faces):
        raise SplitError(f"{path} holds no readable image of the split {split.folder} ({split.value})")
    if faces.unreadable:
        log.warning("%d unreadable images left out, the first: %s", len(faces.unreadable), faces.unreadable[0])
    return faces


def split_of(path: PurePosixPath) -> Split | None:
    """The split of a file ``<folder>/<emotion>/<name>``: by the official prefix of its name, else by its folder."""
    for split in Split:
        if path.name.startswith(f"{split.value}_"):
            return split
    try:
        return Split.parse(path.parts[-3])
    except (SplitError, IndexError):
        return None


def _load_tree(root: Path, split: Split) -> FaceSet:
    files = [PurePosixPath(file.relative_to(root).as_posix()) for file in root.rglob("*") if file.is_file()]
    return _collect(split, _files_of(files, split, lambda file: root / file))


def _load_zip(path: Path, split: Split) -> FaceSet:
    try:
        with zipfile.ZipFile(path) as archive:
            files = map(PurePosixPath, archive.namelist())
            return _collect(split, _files_of(files, split, lambda file: archive.read(str(file))))
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is a damaged zip: {error}; fetch it again") from error


def _load_csv(path: Path, split: Split) -> FaceSet:
    csv.field_size_limit(sys.maxsize)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
        if missing := {"emotion", "pixels", "Usage"} - set(reader.fieldnames):
            raise DataError(f"{path} lacks the columns {sorted(missing)}; the Kaggle CSV has emotion, pixels and Usage")
        return _collect(split, _rows_of(reader, split))


Face = tuple[int, NDArray[np.uint8]]
"""A label and its grey image uint8 [H, W]."""
Entries = Iterator[tuple[str, Callable[[], Face]]]
"""Names, and what reads the face of each."""


def _files_of(files: Iterable[PurePosixPath], split: Split, source: Callable[[PurePosixPath], Path | bytes]) -> Entries:
    def read(file: PurePosixPath) -> Face:
        grey = np.rint(read_image(source(file)) @ GREY_WEIGHTS).astype(np.uint8)
        return EMOTIONS.index(file.parent.name.lower()), grey

    for file in sorted(files):
        if file.parent.name.lower() in EMOTIONS and is_image_name(Path(file)) and split_of(file) is split:
            yield str(PurePosixPath(*file.parts[-3:])), partial(read, file)


def _rows_of(rows: Iterable[dict[str, str]], split: Split) -> Entries:
    def read(row: dict[str, str]) -> Face:
        Split.parse(row["Usage"])
        label = EMOTIONS.index(KAGGLE_EMOTIONS[int(row["emotion"])])
        return label, np.array(row["pixels"].split(), dtype=np.uint8).reshape(KAGGLE_SIDE, KAGGLE_SIDE)

    others = {other.value for other in Split if other is not split}
    for number, row in enumerate(rows):
        if (row["Usage"] or "").strip() not in others:
            yield f"fer{number:07d}.png", partial(read, row)  # the name FER+ gives to the row


def _collect(split: Split, entries: Entries) -> FaceSet:
    """Read every entry; what cannot be read is reported and left out, never replaced."""
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    names: list[str] = []
    unreadable: list[str] = []
    for name, read in entries:
        try:
            label, image = read()
        except (CmaenError, zipfile.BadZipFile, ValueError, IndexError, OverflowError, AttributeError) as error:
            unreadable.append(f"{name}: {error}")
            continue
        if images and image.shape != images[0].shape:
            raise DataError(f"{name} is {image.shape}, the images before it {images[0].shape}; one set has one size")
        images.append(image)
        labels.append(label)
        names.append(name)
    pixels = np.stack(images) if images else np.empty((0, KAGGLE_SIDE, KAGGLE_SIDE), np.uint8)
    return FaceSet(split, pixels, np.array(labels, np.int64), tuple(names), unreadable=tuple(unreadable))
