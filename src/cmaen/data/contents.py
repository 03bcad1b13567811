"""The files of a data set in a folder, a zip, or a folder of zips: pictures, and texts that may tell their labels."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, NamedTuple

from cmaen.data.encodings import READ_ERRORS, Opener, open_file
from cmaen.data.reading import MAX_FILE
from cmaen.errors import DataError
from cmaen.images.reader import read_image
from cmaen.images.signatures import HEAD
from cmaen.listing import HIDDEN, OTHER, LeftOut, is_hidden, is_rubbish, left_out_kind, list_images, may_tell
from cmaen.types import Image

MAX_TEXT = 2**30
"""Maximum size in bytes of a text in a zip, because a small zip can hold files of any size."""


class Picture(NamedTuple):
    """A picture of a data set.

    Attributes:
        origin: What it is read from: the path of a file, or the member of a zip.
        read: Reads it, RGB uint8 [H, W, 3].
    """

    origin: Path | zipfile.ZipInfo
    read: Callable[[], Image]


@dataclass(frozen=True)
class Files:
    """The files of a data set.

    Attributes:
        pictures: The pictures by path in the data set, sorted as they were found.
        texts: Openers of the texts that may tell labels.
        read: Returns the first bytes of any file, at most so many; ``None`` if there is no such file, or it cannot be
            read.
        left_out: The files that are neither.
    """

    pictures: Mapping[PurePosixPath, Picture]
    texts: Mapping[PurePosixPath, Opener]
    read: Callable[[PurePosixPath, int], bytes | None] = field(repr=False)
    left_out: LeftOut


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """Open a folder, a zip, or a folder that holds nothing but zips, each of which is then a subfolder of its name.

    The files can be read inside the ``with`` block.

    Raises:
        DataError: The folder or a zip cannot be read.
    """
    with ExitStack() as stack:
        if not path.is_dir():
            yield _list_archive(stack.enter_context(_open_zip(path)))
            return
        files = _list_folder(path)
        archives = {} if files.pictures else {file: path / file for file in _zips_of(path, files.left_out)}
        if not archives:
            yield files
            return
        parts = {PurePosixPath(): files}
        for file, archive in archives.items():
            files.left_out.use(OTHER, file.name)
            parts[file.with_suffix("")] = _list_archive(stack.enter_context(_open_zip(archive)), files.left_out)
        yield _join(parts)


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DataError(f"{path} is a damaged zip: {error}; download it again") from error


def _list_folder(root: Path) -> Files:
    left_out = LeftOut(telling=[])
    pictures = {_relative(file, root): Picture(file, partial(read_image, file)) for file in list_images(root, left_out)}
    texts = {_relative(file, root): partial(open_file, file) for file in left_out.telling or () if not _is_zip(file)}

    def read(file: PurePosixPath, most: int) -> bytes | None:
        try:
            with open_file(root / file) as opened:
                return opened.read(most)
        except (OSError, ValueError):
            return None

    return Files(pictures, texts, read, left_out)


def _zips_of(root: Path, left_out: LeftOut) -> list[PurePosixPath]:
    return [_relative(file, root) for file in left_out.telling or () if _is_zip(file) and zipfile.is_zipfile(file)]


def _is_zip(file: PurePath) -> bool:
    return file.suffix.lower() == ".zip"


def _relative(file: Path, root: Path) -> PurePosixPath:
    return PurePosixPath(file.relative_to(root).as_posix())


def _list_archive(archive: zipfile.ZipFile, left_out: LeftOut | None = None) -> Files:
    left_out = LeftOut() if left_out is None else left_out
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    pictures: dict[PurePosixPath, Picture] = {}
    texts: dict[PurePosixPath, Opener] = {}
    for member in archive.infolist():
        if member.is_dir():
            continue
        file = PurePosixPath(member.filename.replace("\\", "/"))  # some Windows programs write backslashes
        file, name = file.relative_to(file.anchor), file.name
        if not name or any(map(is_rubbish, file.parts)):
            continue
        if any(map(is_hidden, file.parts)):
            left_out.add(HIDDEN, name)
            continue
        for number in count(2):
            if file not in members:
                break
            file = file.with_name(f"{name} ({number})")  # the same name twice in a zip
        members[file] = member
        kind = left_out_kind(name, partial(_head, archive, member))
        if kind is None:
            pictures[file] = Picture(member, partial(_unpack_member, archive, member))
            continue
        left_out.add(kind, name)
        if kind is OTHER and may_tell(name) and not _is_zip(file):
            texts[file] = partial(_open_member, archive, member)

    def read(file: PurePosixPath, most: int) -> bytes | None:
        if (member := members.get(file)) is None:
            return None
        try:
            with archive.open(member) as opened:
                return opened.read(most)
        except (*READ_ERRORS, ValueError):
            return None

    return Files(pictures, texts, read, left_out)


def _join(parts: Mapping[PurePosixPath, Files]) -> Files:
    """Join the files of several places as one data set; each lies in its folder."""
    pictures = {folder / file: read for folder, part in parts.items() for file, read in part.pictures.items()}
    texts = {folder / file: opener for folder, part in parts.items() for file, opener in part.texts.items()}

    def read(file: PurePosixPath, most: int) -> bytes | None:
        for folder, part in parts.items():
            if file.is_relative_to(folder) and (data := part.read(file.relative_to(folder), most)) is not None:
                return data
        return None

    return Files(pictures, texts, read, parts[PurePosixPath()].left_out)


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Read the first bytes of a file in a zip; none if it cannot be unpacked."""
    try:
        with archive.open(member) as file:
            return file.read(HEAD)
    except (*READ_ERRORS, ValueError):
        return b""


def _open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    """Open a text of a zip; what it unpacks to never exceeds its declared size, which is limited."""
    if member.file_size > MAX_TEXT:
        raise OSError(f"it has more than {MAX_TEXT:,} bytes")
    return archive.open(member)  # type: ignore[return-value]  # reads bytes, as every user of it wants


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Image:
    """Unpack a file of a zip if it is small: it never takes more memory than its declared size, which is limited."""
    if member.file_size > MAX_FILE:
        raise DataError(f"it has {member.file_size:,} bytes; the limit is {MAX_FILE:,}")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError("its compression method is neither stored nor deflated")
    try:
        with archive.open(member) as file:
            data = file.read(MAX_FILE)
    except (*READ_ERRORS, ValueError) as error:
        raise DataError(f"it cannot be unpacked: {error}") from error  # damaged or encrypted
    return read_image(data)
