"""FER2013 in the three forms that it comes in: a folder tree, a zip of that tree, and the Kaggle CSV."""

from __future__ import annotations

import csv
import logging
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet, Split
from cmaen.errors import DataError, ImageError, SplitError
from cmaen.images import is_image_name, read_image
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
    return _load_files(files, split, lambda name: root / name)


def _load_zip(path: Path, split: Split) -> FaceSet:
    try:
        with zipfile.ZipFile(path) as archive:
            return _load_files(map(PurePosixPath, archive.namelist()), split, lambda name: archive.read(str(name)))
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is a damaged zip: {error}; fetch it again") from error


def _load_files(
    files: Iterable[PurePosixPath], split: Split, source: Callable[[PurePosixPath], Path | bytes]
) -> FaceSet:
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    names: list[str] = []
    unreadable: list[str] = []
    for file in sorted(files):
        emotion = file.parent.name.lower()
        if emotion not in EMOTIONS or not is_image_name(Path(file)) or split_of(file) is not split:
            continue
        try:
            pixels = read_image(source(file))
        except (ImageError, zipfile.BadZipFile) as error:
            unreadable.append(f"{file}: {error}")
            continue
        grey = np.rint(pixels.mean(axis=2)).astype(np.uint8) if _is_coloured(pixels) else pixels[:, :, 0]
        if images and grey.shape != images[0].shape:
            raise DataError(f"{file} is {grey.shape}, the images before it {images[0].shape}; one set has one size")
        images.append(grey)
        labels.append(EMOTIONS.index(emotion))
        names.append(str(PurePosixPath(*file.parts[-3:])))
    return _face_set(split, images, labels, names, unreadable)


def _is_coloured(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels[:, :, 0] != pixels[:, :, 1]).any() or (pixels[:, :, 0] != pixels[:, :, 2]).any())


def _load_csv(path: Path, split: Split) -> FaceSet:
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    names: list[str] = []
    unreadable: list[str] = []
    csv.field_size_limit(sys.maxsize)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        columns = [name.strip() for name in reader.fieldnames or []]
        if missing := {"emotion", "pixels", "Usage"} - set(columns):
            raise DataError(f"{path} lacks the columns {sorted(missing)}; the Kaggle CSV has emotion, pixels and Usage")
        reader.fieldnames = columns
        for row, record in enumerate(reader):
            try:
                if Split.parse(record["Usage"] or "") is not split:
                    continue
                label = EMOTIONS.index(KAGGLE_EMOTIONS[int(record["emotion"])])
                pixels = np.array((record["pixels"] or "").split(), dtype=np.uint8).reshape(KAGGLE_SIDE, KAGGLE_SIDE)
            except (ValueError, IndexError, OverflowError, SplitError) as error:
                unreadable.append(f"row {row}: {error}")
                continue
            images.append(pixels)
            labels.append(label)
            names.append(f"fer{row:07d}.png")  # the name FER+ gives to the row
    return _face_set(split, images, labels, names, unreadable)


def _face_set(
    split: Split, images: list[NDArray[np.uint8]], labels: list[int], names: list[str], unreadable: list[str]
) -> FaceSet:
    pixels = np.stack(images) if images else np.empty((0, KAGGLE_SIDE, KAGGLE_SIDE), np.uint8)
    return FaceSet(split, pixels, np.array(labels, np.int64), tuple(names), unreadable=tuple(unreadable))
