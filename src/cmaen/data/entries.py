"""Listing the faces of a data set before any is read: of a folder of folders, its zip, or a CSV of files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from cmaen.data.fer2013 import official_split
from cmaen.data.reading import MAX_FILE
from cmaen.data.splits import Split, split_named
from cmaen.data.table import Row, cut, rows_of
from cmaen.errors import DataError
from cmaen.images import printable, read_image
from cmaen.listing import BESIDE, HIDDEN, LeftOut, is_hidden, is_rubbish, left_out_kind, list_images
from cmaen.naming import make_unique
from cmaen.signatures import HEAD
from cmaen.types import Image

_BOX = ("x", "y", "width", "height", "right", "bottom")
"""Columns of a box."""


class Entry(NamedTuple):
    """A face that can be read.

    Attributes:
        name: Unique name.
        label: Name of its class.
        split: Its split; ``None`` if unknown.
        group: Its group, such as a person; ``None`` without a group.
        place: Where its split would be named: the folder that holds its class folder, or the value in the CSV.
        read: Returns the image, RGB uint8 [H, W, 3].
        origin: What it is read from, for :mod:`cmaen.data.cache`: the path of a file, the member of a zip, or a tuple
            of these and of texts, such as a box; ``None`` if unknown.
    """

    name: str
    label: str
    split: Split | None
    group: str | None
    place: str
    read: Callable[[], Image]
    origin: Any = None


@contextmanager
def open_entries(path: Path) -> Iterator[tuple[list[Entry], LeftOut]]:
    """Open a folder, a zip or a CSV: its faces, which can be read inside the ``with`` block, and what is left out.

    Raises:
        DataError: The path is none of these, or is damaged.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder of faces, a zip of it, or a CSV")
    if path.is_dir():
        yield _of_folder(path)
    elif zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                yield _of_zip(archive)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise DataError(f"{path} is a damaged zip: {error}; download it again") from error
    elif path.suffix.lower() in (".csv", ".tsv"):
        yield _of_csv(path), LeftOut()
    else:
        raise DataError(f"{path} is neither a folder, a zip nor a CSV")


def split_of(path: PurePosixPath) -> Split | None:
    """Determine the split of a file ``<split>/<class>/<name>`` by the official prefix of its name or by its folder."""
    official = official_split(path.name)
    if official is not None or len(path.parts) < 3:
        return official
    return split_named(path.parts[-3])


def _of_folder(root: Path) -> tuple[list[Entry], LeftOut]:
    left_out = LeftOut()
    files = [(PurePosixPath(file.relative_to(root).as_posix()), file) for file in list_images(root, left_out)]
    return _of_files([(file, partial(read_image, source), source) for file, source in files], left_out), left_out


def _of_zip(archive: zipfile.ZipFile) -> tuple[list[Entry], LeftOut]:
    left_out, files = LeftOut(), []
    for member in archive.infolist():
        if member.is_dir():
            continue
        file = PurePosixPath(member.filename.replace("\\", "/"))  # some Windows programs write backslashes
        if any(map(is_rubbish, file.parts)):
            continue
        if any(map(is_hidden, file.parts)):
            left_out.add(HIDDEN, file.name)
        elif (kind := left_out_kind(file.name, partial(_head, archive, member))) is not None:
            left_out.add(kind, file.name)
        else:
            files.append((file, partial(_unpack_member, archive, member), member))
    return _of_files(files, left_out), left_out


def _of_files(files: Sequence[tuple[PurePosixPath, Callable[[], Image], Any]], left_out: LeftOut) -> list[Entry]:
    """List the entries of pictures by their paths in the data set; those in no class folder are left out."""
    for file, *_ in files:
        if len(file.parts) < 2:
            left_out.add(BESIDE, file.name)
    kept = [picture for picture in files if len(picture[0].parts) > 1]
    names = make_unique(
        [printable(PurePosixPath(*file.parts[-3:])) for file, *_ in kept], [printable(file) for file, *_ in kept]
    )
    return [
        Entry(name, file.parent.name, split_of(file), None, _place_of(file), read, origin)
        for name, (file, read, origin) in zip(names, kept, strict=True)
    ]


def _place_of(file: PurePosixPath) -> str:
    above = file.parent.parent
    return printable(above if above.parts else file.parent)


def _of_csv(path: Path) -> list[Entry]:
    """List one entry per row; its path is relative to the folder of the CSV."""
    entries = []
    for row in rows_of(path):
        named = row.values.get("split", "")
        split = split_named(named) if named else None
        group = row.values.get("group") or None
        read = partial(cut, path.parent, row)
        entries.append(Entry(row.name, row.values["label"], split, group, named, read, _origin_of(path.parent, row)))
    return entries


def _origin_of(root: Path, row: Row) -> tuple[Path | str, ...]:
    """Return what a row is read from: its picture, under either separator, and the box in it."""
    named = row.values["path"]
    paths = [root / name for name in dict.fromkeys((named, named.replace("\\", "/")))]
    return (*paths, *(row.values.get(key, "") for key in _BOX)) if row.boxed else tuple(paths)


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Read the first bytes of a file in a zip; none if it cannot be unpacked."""
    try:
        with archive.open(member) as file:
            return file.read(HEAD)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError, ValueError):
        return b""


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Image:
    """Unpack a file of a zip if it is small: it never takes more memory than its declared size, which is limited."""
    if member.file_size > MAX_FILE:
        raise DataError(f"it has {member.file_size:,} bytes; the limit is {MAX_FILE:,}")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError("its compression method is neither stored nor deflated")
    try:
        with archive.open(member) as file:
            data = file.read(MAX_FILE)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
        raise DataError(f"it cannot be unpacked: {error}") from error  # damaged or encrypted
    return read_image(data)
