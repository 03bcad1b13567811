"""Labelled faces in whatever form they come: a folder of folders, its zip, a CSV of files, FER2013 as Kaggle's CSV."""

from __future__ import annotations

import csv
import logging
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from cmaen.card import Card
from cmaen.data.drawing import drawn
from cmaen.data.fer2013 import is_kaggle_csv, load_kaggle_csv, official_split
from cmaen.data.labelling import Labelling
from cmaen.data.reading import MAX_FILE, MAX_PIXELS, SIDE, Face, collect
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import DataError, SplitError
from cmaen.images import is_image_name, printable, read_image
from cmaen.preprocessing import GREY_WEIGHTS
from cmaen.types import Image

PLACES = tuple(Path(folder) / name for folder in ("data", ".") for name in ("fer2013.zip", "fer2013.csv", "fer2013"))
"""Where FER2013 is looked for when nobody says where it is."""
_FOLDERS = {"val": Split.VALIDATION, "valid": Split.VALIDATION, "dev": Split.VALIDATION, "training": Split.TRAIN}
_BOX = ("x", "y", "width", "height")

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A face that may be read.

    Attributes:
        name: Unique.
        label: The name of its class.
        split: ``None`` where nothing tells.
        group: What it belongs to, like a person; ``None`` for nothing.
        read: Gives RGB uint8 [H, W, 3].
    """

    name: str
    label: str
    split: Split | None
    group: str | None
    read: Callable[[], Image]


def find_data() -> Path:
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


def load_faces(
    path: Path,
    split: Split,
    *,
    colour: bool = False,
    labels: Sequence[str] | str | None = None,
    side: int = SIDE,
) -> FaceSet:
    """The faces of one split.

    Args:
        path: A folder ``<class>/*.png`` or ``<split>/<class>/*.png``, a zip of one, a CSV with the columns ``path`` and
            ``label`` (and, if there are any, ``split``, ``group`` and the box ``x``, ``y``, ``width``, ``height``), or
            FER2013 as Kaggle's CSV. Where a file's name has an official prefix of FER2013 (``Training_``,
            ``PublicTest_``, ``PrivateTest_``) the prefix decides on the split.
        split: Which one. Where there is no validation split, a tenth of the others is drawn, see
            :func:`cmaen.data.drawing.drawn`.
        colour: Keep it; else it is dropped.
        labels: The classes, see :class:`Labelling`; ``None`` for the seven emotions, also under their other names.
        side: Pixels that faces are brought to if they differ in size.

    Raises:
        DataError: The path holds no faces or is damaged, or colour is to be kept and there is none. Single images that
            cannot be read are left out and listed in ``FaceSet.unreadable``; classes that are not asked for are named.
        SplitError: It has no such split.
    """
    if split is Split.BOTH:
        validation, test = (
            load_faces(path, part, colour=colour, labels=labels, side=side) for part in (Split.VALIDATION, Split.TEST)
        )
        return validation.joined(test, split)
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder of faces, its zip, or a CSV")
    if path.is_file() and zipfile.is_zipfile(path):
        faces = _of_zip(path, partial(_of_split, split=split, colour=colour, labels=labels, side=side))
    elif path.is_dir():
        entries = [_entry(PurePosixPath(file.relative_to(path).as_posix()), file) for file in _files_in(path)]
        faces = _of_split(entries, split=split, colour=colour, labels=labels, side=side)
    elif path.suffix.lower() == ".csv":
        faces = _of_csv(path, split, colour, labels, side)
    else:
        raise DataError(f"{path} is neither a folder, a zip nor a CSV")
    if not len(faces):
        raise SplitError(f"{path} holds no readable image of the split {split.folder}")
    if colour and (faces.images == faces.images[..., :1]).all():
        raise DataError(
            f"the images of {path} have no colour, and a network must not look for it (preprocess.grey=true)"
        )
    if faces.unreadable:
        log.warning("%d unreadable images left out, the first: %s", len(faces.unreadable), faces.unreadable[0])
    return faces


def load_for(card: Card, path: Path, split: Split) -> FaceSet:
    """The faces of one split as a network has learnt them: its labels, colour or none; see :func:`load_faces`."""
    spec = card.preprocess
    return load_faces(path, split, colour=not spec.grey, labels=card.labels, side=spec.side)


def by_column(faces: FaceSet, path: Path, column: str) -> dict[str, FaceSet]:
    """The faces by what a column of their CSV says of them, like an age or a skin tone; by the value, in its order.

    Args:
        faces: That :func:`load_faces` has loaded from it.
        path: A CSV with the column ``path``.
        column: Another one; faces without a value are left out.

    Raises:
        DataError: There is no such CSV or column, or no face has a value.
    """
    if path.suffix.lower() != ".csv" or not path.is_file():
        raise DataError(f"{path} is no CSV, and only a CSV has columns: path, label, and {column}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        if column not in [name.strip() for name in next(csv.reader(file), [])]:
            raise DataError(f"{path} has no column {column!r}")
    values = {_name_of(row, number): row.get(column, "") for number, row in _lines_of(path)}
    found = np.array([values.get(name, "") for name in faces.names])
    groups = {value: faces.select(found == value) for value in sorted(set(found.tolist()) - {""})}
    if not groups:
        raise DataError(f"no face has a value in the column {column!r} of {path}")
    return groups


def split_of(path: PurePosixPath) -> Split | None:
    """The split of a file ``<split>/<class>/<name>``: by the official prefix of its name, else by its folder."""
    official = official_split(path.name)
    if official is not None or len(path.parts) < 3:
        return official
    return _split_named(path.parts[-3])


def _split_named(name: str) -> Split | None:
    try:
        return _FOLDERS.get(name.strip().lower()) or Split.parse(name)
    except SplitError:
        return None


def _of_split(
    entries: Sequence[Entry], *, split: Split, colour: bool, labels: Sequence[str] | str | None, side: int
) -> FaceSet:
    """The faces of a split; what none of the classes stands for, and what stands in no split, is named."""
    if not entries:
        return collect(split, ())
    labelling = Labelling.of([entry.label for entry in entries], labels)
    if labelling.skipped:
        left = ", ".join(f"{name} ({count:,})" for name, count in labelling.skipped.items())
        log.warning("classes left out: %s; --set data.labels=all learns them too", left)
    known = sorted(
        (entry for entry in entries if labelling.index(entry.label) is not None), key=lambda entry: entry.name
    )
    splits = {entry.split for entry in known} - {None}
    lost = sum(entry.split is None for entry in known) if splits else 0
    if lost:
        log.warning("%d images stand in no split and are left out", lost)

    def read(entry: Entry) -> Face:
        image = entry.read()
        if not colour:
            image = np.rint(image @ GREY_WEIGHTS).astype(np.uint8)  # [H, W, 3] -> [H, W]
        index = labelling.index(entry.label)
        assert index is not None
        return index, image

    def collected(some: Sequence[Entry]) -> FaceSet:
        return collect(
            split, [(entry.name, partial(read, entry)) for entry in some], classes=labelling.classes, side=side
        )

    official = any(official_split(PurePosixPath(entry.name).name) for entry in known)  # a part of FER2013
    if official or split is Split.TEST or Split.VALIDATION in splits or (splits and Split.TRAIN not in splits):
        return collected([entry for entry in known if entry.split is split])
    pool = [entry for entry in known if not splits or entry.split is Split.TRAIN]
    faces = collected(pool)
    groups = {entry.name: entry.group for entry in pool}
    validates = drawn(faces, [groups[name] for name in faces.names])
    log.info("no validation split: %d of %d faces are drawn for it", validates.sum(), len(faces))
    return faces.select(validates if split is Split.VALIDATION else ~validates)


def _files_in(root: Path) -> list[Path]:
    found = list(root.rglob("*"))
    files = [file for file in found if file.parent != root and is_image_name(file) and file.is_file()]
    filled = {folder for file in files for folder in file.parents}
    if empty := sorted(file.relative_to(root) for file in found if file not in filled and file.is_dir()):
        log.warning("folders without a picture: %s", ", ".join(map(printable, empty)))
    return files


def _entry(file: PurePosixPath, source: Path) -> Entry:
    name = printable(PurePosixPath(*file.parts[-3:]))
    return Entry(name, file.parent.name, split_of(file), None, lambda: read_image(source, max_pixels=MAX_PIXELS))


def _of_zip(path: Path, of_split: Callable[[Sequence[Entry]], FaceSet]) -> FaceSet:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = []
            for member in archive.infolist():
                file = PurePosixPath(member.filename)
                if len(file.parts) > 1 and is_image_name(Path(file)):
                    read = partial(_unpacked, archive, member)
                    name = printable(PurePosixPath(*file.parts[-3:]))
                    entries.append(Entry(name, file.parent.name, split_of(file), None, read))
            return of_split(entries)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DataError(f"{path} is a damaged zip: {error}; fetch it again") from error


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Image:
    """A file of a zip, if it is small: it never takes more memory than its size says, and that is limited."""
    if member.file_size > MAX_FILE:
        raise DataError(f"it has {member.file_size:,} bytes, over the limit of {MAX_FILE:,}")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError("it is compressed in another way than stored or deflated")
    try:
        with archive.open(member) as file:
            data = file.read(MAX_FILE)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
        raise DataError(f"it cannot be unpacked: {error}") from error  # damaged or encrypted
    return read_image(data, max_pixels=MAX_PIXELS)


def _of_csv(path: Path, split: Split, colour: bool, labels: Sequence[str] | str | None, side: int) -> FaceSet:
    """The faces of a CSV of files, or of Kaggle's."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            columns = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV: {error}") from error
    if is_kaggle_csv(columns):
        if colour:
            raise DataError(f"{path} has no colour: the Kaggle CSV is grey (preprocess.grey=true)")
        return load_kaggle_csv(path, split)
    if missing := {"path", "label"} - {name.strip() for name in columns}:
        raise DataError(
            f"{path} lacks the columns {sorted(missing)}: a CSV of faces has path and label, Kaggle's FER2013 "
            "emotion, pixels and Usage"
        )
    entries = list(_rows_of(path))
    return _of_split(entries, split=split, colour=colour, labels=labels, side=side)


def _rows_of(path: Path) -> Iterator[Entry]:
    """A face a row; its path is looked for beside the CSV."""
    for number, row in _lines_of(path):
        named = row.get("split", "")
        split = _split_named(named) if named else None
        read = partial(_cut, path.parent, row)
        yield Entry(_name_of(row, number), row["label"], split, row.get("group") or None, read)


def _lines_of(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV by their numbers, from 2."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, line in enumerate(csv.DictReader(file), 2):
            row = {str(key).strip(): value.strip() for key, value in line.items() if isinstance(value, str)}
            yield number, {"path": "", "label": ""} | row  # a row that is cut short costs no other


def _name_of(row: dict[str, str], number: int) -> str:
    """The path of a row, told from others of that picture."""
    return f"{row['path']} (row {number})" if any(row.get(key) for key in _BOX) else row["path"]


def _cut(root: Path, row: dict[str, str]) -> Image:
    """The picture of a row, or the box in it."""
    image = read_image(root / row["path"], max_pixels=MAX_PIXELS)
    if not any(row.get(key) for key in _BOX):
        return image
    left, top, width, height = (round(float(row.get(key, ""))) for key in _BOX)
    part = image[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if not part.size:
        raise DataError(f"its box lies outside of the picture, which has {image.shape[1]} x {image.shape[0]} pixels")
    return np.ascontiguousarray(part)
