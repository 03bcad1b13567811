"""FER2013 in the three forms that it comes in: a folder tree, a zip of that tree, and the Kaggle CSV."""

from __future__ import annotations

import csv
import logging
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet, Split
from cmaen.errors import CmaenError, DataError, SplitError
from cmaen.images import is_image_name, printable, read_image
from cmaen.preprocessing import GREY_WEIGHTS
from cmaen.types import EMOTIONS

KAGGLE_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The order of the ids in the Kaggle CSV, which is not :data:`cmaen.types.EMOTIONS`."""
KAGGLE_SIDE = 48
PLACES = tuple(Path(folder) / name for folder in ("data", ".") for name in ("fer2013.zip", "fer2013.csv", "fer2013"))
"""Where it is looked for when nobody says where it is."""
MAX_FILE = 16 * 2**20
"""Bytes of an image in a zip; larger ones are left out, for a small zip can hold files of any size."""
MAX_PIXELS = 2048 * 2048
"""Of an image, which is a face; larger ones are left out."""
MAX_TOTAL = 8 * 2**30
"""Pixels of a split, which is held in memory, at a byte each."""
MAX_UNREADABLE = 100_000
"""Images of a split that are left out, each with its reason; a set with more is another file."""
_LONGEST_LINE = 100_000
_LONGEST_REASON = 300

log = logging.getLogger(__name__)


def find_fer2013() -> Path:
    """Where FER2013 lies, if it is in one of :data:`PLACES`.

    Raises:
        DataError: It is in none of them.
    """
    for place in PLACES:
        if place.exists():
            log.info("data: %s", place)
            return place
    places = ", ".join(map(str, PLACES))
    raise DataError(f"there is no FER2013 in {places}: name its folder, zip or CSV with --data, or put it there")


def load_fer2013(path: Path, split: Split, *, colour: bool = False) -> FaceSet:
    """One split of FER2013.

    Args:
        path: A folder ``train|validation|test/<emotion>/*.{png,jpg}``, a zip of one, or the Kaggle CSV
            (``emotion,pixels,Usage``). Where a file's name has an official prefix (``Training_``, ``PublicTest_``,
            ``PrivateTest_``) the prefix decides on the split, for Kaggle's ``test`` folder holds two of them.
        split: Which one to load.
        colour: Keep it, as enhanced faces have it; else it is dropped.

    Raises:
        DataError: The path holds no FER2013 or is damaged, its images differ in size, or colour is to be kept and there
            is none. Single images that cannot be read are left out and listed in ``FaceSet.unreadable``.
        SplitError: It has no such split.
    """
    if split is Split.BOTH:
        validation, test = (load_fer2013(path, part, colour=colour) for part in (Split.VALIDATION, Split.TEST))
        return validation.joined(test, split)
    if path.is_dir():
        faces = _load_tree(path, split, colour)
    elif not path.is_file():
        raise DataError(f"{path} does not exist; give the folder, zip or CSV of FER2013")
    elif zipfile.is_zipfile(path):
        faces = _load_zip(path, split, colour)
    elif path.suffix.lower() == ".csv":
        if colour:
            raise DataError(f"{path} has no colour: the Kaggle CSV is grey (preprocess.grey=true)")
        faces = _load_csv(path, split)
    else:
        raise DataError(f"{path} is neither a folder, a zip nor a CSV of FER2013")
    if not len(faces):
        raise SplitError(f"{path} holds no readable image of the split {split.folder} ({split.value})")
    if colour and (faces.images == faces.images[..., :1]).all():
        raise DataError(
            f"the images of {path} have no colour, and a network must not look for it (preprocess.grey=true)"
        )
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


def _load_tree(root: Path, split: Split, colour: bool) -> FaceSet:
    files = [PurePosixPath(file.relative_to(root).as_posix()) for file in root.rglob("*") if file.is_file()]
    return _collect(split, _files_of(files, split, colour, lambda file: root / file))


def _load_zip(path: Path, split: Split, colour: bool) -> FaceSet:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {PurePosixPath(member.filename): member for member in archive.infolist()}
            return _collect(split, _files_of(members, split, colour, lambda file: _unpack(archive, members[file])))
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DataError(f"{path} is a damaged zip: {error}; fetch it again") from error


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A file of a zip, if it is small: it never takes more memory than its size says, and that is limited."""
    if member.file_size > MAX_FILE:
        raise DataError(f"it has {member.file_size:,} bytes, over the limit of {MAX_FILE:,}")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError("it is compressed in another way than stored or deflated")
    try:
        with archive.open(member) as file:
            return file.read(MAX_FILE)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
        raise DataError(f"it cannot be unpacked: {error}") from error  # damaged or encrypted


def _load_csv(path: Path, split: Split) -> FaceSet:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = _lines_of(file)
            columns = [name.strip() for name in next(lines, [])]
            if missing := {"emotion", "pixels", "Usage"} - set(columns):
                raise DataError(
                    f"{path} lacks the columns {sorted(missing)}; the Kaggle CSV has emotion, pixels and Usage"
                )
            return _collect(split, _rows_of((dict(zip(columns, line, strict=False)) for line in lines), split))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as the Kaggle CSV: {error}") from error


def _lines_of(file: TextIO) -> Iterator[list[str]]:
    """The fields of each line that is not empty; a line of any length takes little memory."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise csv.Error(f"it has a line of {_LONGEST_LINE:,} characters or more")
        if line.strip():
            yield next(csv.reader([line], skipinitialspace=True))


Face = tuple[int, NDArray[np.uint8]]
"""A label and its image, uint8 [H, W], or [H, W, 3] where colour is kept."""
Entries = Iterator[tuple[str, Callable[[], Face]]]
"""Names, and what reads the face of each."""


def _files_of(
    files: Iterable[PurePosixPath], split: Split, colour: bool, source: Callable[[PurePosixPath], Path | bytes]
) -> Entries:
    def read(file: PurePosixPath) -> Face:
        image = read_image(source(file), max_pixels=MAX_PIXELS)
        if not colour:
            image = np.rint(image @ GREY_WEIGHTS).astype(np.uint8)  # [H, W, 3] -> [H, W]
        return EMOTIONS.index(file.parent.name.lower()), image

    for file in sorted(files):
        if file.parent.name.lower() in EMOTIONS and is_image_name(Path(file)) and split_of(file) is split:
            yield printable(PurePosixPath(*file.parts[-3:])), partial(read, file)


def _rows_of(rows: Iterable[dict[str, str]], split: Split) -> Entries:
    def read(row: dict[str, str]) -> Face:
        Split.parse(row.get("Usage", ""))
        label = int(row.get("emotion", ""))
        if not 0 <= label < len(KAGGLE_EMOTIONS):
            raise DataError(f"{label} is no emotion; they are 0 to {len(KAGGLE_EMOTIONS) - 1}")
        pixels = np.array(row.get("pixels", "").split(), dtype=np.uint8)
        return EMOTIONS.index(KAGGLE_EMOTIONS[label]), pixels.reshape(KAGGLE_SIDE, KAGGLE_SIDE)

    others = {other.value for other in Split if other is not split}
    for number, row in enumerate(rows):
        if row.get("Usage", "").strip() not in others:
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
        except (CmaenError, ValueError, OverflowError) as error:
            unreadable.append(f"{name}: {error}"[:_LONGEST_REASON])
            if len(unreadable) > MAX_UNREADABLE:
                raise DataError(f"more than {MAX_UNREADABLE:,} images are unreadable, as {unreadable[0]}") from error
            continue
        if images and image.shape != images[0].shape:
            raise DataError(f"{name} is {image.shape}, the images before it {images[0].shape}; one set has one size")
        if (len(images) + 1) * image.size > MAX_TOTAL:
            raise DataError(f"the faces of {split.value} take more than {MAX_TOTAL:,} bytes of memory; scale them down")
        images.append(image)
        labels.append(label)
        names.append(name)
    pixels = np.stack(images) if images else np.empty((0, KAGGLE_SIDE, KAGGLE_SIDE), np.uint8)
    return FaceSet(split, pixels, np.array(labels, np.int64), tuple(names), unreadable=tuple(unreadable))
