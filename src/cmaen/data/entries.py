"""Listing the faces of a data set before any is read: of a folder, its zip, or a table of files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from cmaen.data.contents import Files, open_files
from cmaen.data.fer2013 import official_split
from cmaen.data.layouts.base import Reading
from cmaen.data.layouts.table import find_layout
from cmaen.data.splits import Split, split_named
from cmaen.data.table import BOX, SUFFIXES, Box, Row, cut, cut_box, rows_of
from cmaen.data.tree import CHART, MANIFEST, SHEET, STATS
from cmaen.errors import DataError
from cmaen.escaping import printable
from cmaen.listing import BESIDE, OTHER, UNREAD, LeftOut
from cmaen.naming import make_unique
from cmaen.types import Image


class Entry(NamedTuple):
    """A face that can be read.

    Attributes:
        name: Unique name.
        label: Name of its class.
        split: Its split; ``None`` if unknown.
        group: Its group, such as a person; ``None`` without a group.
        place: Where its split would be named: the folder that holds its class folder, or the value in the CSV.
        read: Returns the image, RGB uint8 [H, W, 3].
        values: What else is known about it, by the name of a column.
        origin: What it is read from, for :mod:`cmaen.data.cache`: the path of a file, the member of a zip, or a tuple
            of these and of texts, such as a box; ``None`` if unknown.
    """

    name: str
    label: str
    split: Split | None
    group: str | None
    place: str
    read: Callable[[], Image]
    values: Mapping[str, str] = {}
    origin: Any = None


@dataclass(frozen=True)
class Contents:
    """The faces of a data set.

    Attributes:
        entries: The faces.
        left_out: The files that are no faces.
        reading: How a published layout was understood; ``None`` for class folders and tables.
    """

    entries: list[Entry]
    left_out: LeftOut = field(default_factory=LeftOut)
    reading: Reading | None = None

    def say(self, path: Path) -> None:
        """Log how the data set was understood, and what is left out."""
        if self.reading is not None:
            self.reading.say(path)
        self.left_out.say(path, folders=self.reading is None)


@contextmanager
def open_entries(path: Path) -> Iterator[Contents]:
    """Open a folder, a zip or a table of files: its faces can be read inside the ``with`` block.

    A folder or a zip is read in a published layout if it looks like one, see :mod:`cmaen.data.layouts`, and otherwise
    as class folders.

    Raises:
        DataError: The path is none of these, or is damaged.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder of faces, a zip of it, or a CSV")
    if path.is_dir() or zipfile.is_zipfile(path):
        with open_files(path) as files:
            reading = find_layout(files)
            if reading is None:
                yield Contents(_of_class_folders(files), files.left_out)
            else:
                yield Contents(_of_layout(reading, files), files.left_out, reading)
    elif path.suffix.lower() in SUFFIXES:
        yield Contents(_of_table(path))
    else:
        raise DataError(f"{path} is neither a folder, a zip nor a CSV")


def split_of(path: PurePosixPath) -> Split | None:
    """Determine the split of a file ``<split>/<class>/<name>`` by the official prefix of its name or by its folder."""
    official = official_split(path.name)
    if official is not None or len(path.parts) < 3:
        return official
    return split_named(path.parts[-3])


def _of_class_folders(files: Files) -> list[Entry]:
    """List the entries of pictures by their paths in the data set; those in no class folder are left out."""
    kept = [file for file in files.pictures if len(file.parts) > 1]
    for file in files.pictures:
        if len(file.parts) < 2 and file.name != SHEET:
            files.left_out.add(BESIDE, file.name)
    for kind, record in ((OTHER, MANIFEST), (OTHER, STATS), (UNREAD, CHART)):
        if files.read(PurePosixPath(record), 1) is not None:
            files.left_out.use(kind, record)
    return [
        Entry(
            name,
            file.parent.name,
            split_of(file),
            None,
            _place_of(file),
            files.pictures[file].read,
            origin=files.pictures[file].origin,
        )
        for name, file in zip(_names_of(kept), kept, strict=True)
    ]


def _of_layout(reading: Reading, files: Files) -> list[Entry]:
    """List the entries of a published layout, and stop counting the texts that told their labels as left out."""
    for text in reading.texts:
        files.left_out.use(OTHER, text.name)
    endings = [f" (row {face.row})" if face.box else "" for face in reading.faces]
    names = _names_of([face.file for face in reading.faces], endings)
    return [
        Entry(
            name,
            face.label,
            face.split,
            face.group,
            printable(face.file.parent),
            partial(_read, files.pictures[face.file].read, face.box),
            face.values,
            (files.pictures[face.file].origin, str(face.box)),
        )
        for name, face in zip(names, reading.faces, strict=True)
    ]


def _read(read: Callable[[], Image], box: Box | None) -> Image:
    image = read()
    return image if box is None else cut_box(image, box)


def _names_of(files: list[PurePosixPath], endings: list[str] | None = None) -> list[str]:
    """Name faces by the last three parts of the paths of their pictures, or by whole paths if these are not unique."""
    parts = list(zip(files, endings or [""] * len(files), strict=True))
    return make_unique(
        [f"{printable(PurePosixPath(*file.parts[-3:]))}{ending}" for file, ending in parts],
        [f"{printable(file)}{ending}" for file, ending in parts],
    )


def _place_of(file: PurePosixPath) -> str:
    above = file.parent.parent
    return printable(above if above.parts else file.parent)


def _of_table(path: Path) -> list[Entry]:
    """List one entry per row; its path is relative to the folder of the table."""
    entries = []
    for row in rows_of(path):
        named = row.values.get("split", "")
        split = split_named(named) if named else None
        group = row.values.get("group") or None
        read = partial(cut, path.parent, row)
        origin = _origin_of(path.parent, row)
        entries.append(Entry(row.name, row.values["label"], split, group, named, read, row.values, origin))
    return entries


def _origin_of(root: Path, row: Row) -> tuple[Path | str, ...]:
    """Return what a row is read from: its picture, under either separator, and the box in it."""
    named = row.values["path"]
    paths = [root / name for name in dict.fromkeys((named, named.replace("\\", "/")))]
    return (*paths, *(row.values.get(key, "") for key in BOX)) if row.boxed else tuple(paths)
