"""Listing the pictures of a folder: one walk for prediction, training and every other verb.

A file is a picture by its suffix or, if the suffix does not tell, by its first bytes. Linked folders are followed,
system files are skipped, and everything else that is left out is counted by kind, so that it can be reported. A folder
into which a run writes its results, including the run that lists, is left out entirely: the run holds it, see
:func:`cmaen.locks.hold`.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

from cmaen.errors import CmaenError
from cmaen.images.reader import printable
from cmaen.images.signatures import FORMATS, HEAD, is_image_name, sniff
from cmaen.locks import LOCK, is_held


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


_RUBBISH = frozenset(
    {
        *(".ds_store", "__macosx", ".appledouble", ".spotlight-v100", ".fseventsd", ".trashes", ".trash"),
        *("thumbs.db", "ehthumbs.db", "icon\r", "desktop.ini", "$recycle.bin", "system volume information", "@eadir"),
        *(".ipynb_checkpoints", "__pycache__", ".git", ".svn", ".hg", ".cache", ".thumbnails", ".directory"),
        *(".gitignore", ".gitattributes", ".gitkeep", ".enhanced.jsonl", LOCK),
    }
)
"""Names, in lower case, that systems and programs leave in folders and that nobody means as data."""
_VIDEOS = _suffixes(
    "3g2 3gp asf avi divx f4v flv m2ts m2v m4v mkv mov mp4 mpeg mpg mts mxf ogv rm rmvb ts vob webm wmv"
)
_UNREAD = _suffixes(
    "3fr ai arw avif cr2 cr3 dng dxf emf eps exr hdr heic heics heif heifs hif ico icns j2k jp2 "
    "jpf jpx jxl kdc nef nrw orf pbm pcx pef psb psd raf raw rw2 sr2 srw svg svgz tga wmf "
    "x3f xcf"
)
"""Suffixes of pictures that this installation may be unable to read; raw photographs begin like TIFF."""
_RAW = _suffixes("3fr arw cr2 cr3 dng kdc nef nrw orf pef raf raw rw2 sr2 srw x3f")
_OTHERS = _suffixes(
    "7z aac bz2 cfg csv db doc docx flac gz htm html ini ipynb json jsonl log m4a mat md mp3 npy "
    "npz ogg parquet pdf pkl pt pth py rar rst srt tar toml tsv txt wav xls xlsx xml yaml yml "
    "zip"
)
"""Suffixes that certainly do not belong to a picture, for use where looking at the bytes is expensive."""
_TELLING = _suffixes("csv jsonl lst md tsv txt zip")
"""Suffixes of files that may tell the labels of pictures, or hold pictures."""
_MOST_NAMED = 5

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """A kind of file or folder that a listing leaves out, in singular and plural."""

    one: str
    several: str


VIDEO = Kind("video", "videos")
UNREAD = Kind("picture in a format that cannot be read here", "pictures in formats that cannot be read here")
HIDDEN = Kind("hidden file or folder", "hidden files and folders")
OTHER = Kind("other file", "other files")
CLOSED = Kind("folder that cannot be read", "folders that cannot be read")
AGAIN = Kind("link to a folder that was already listed", "links to folders that were already listed")
WRITTEN = Kind("folder that a run writes its results to", "folders that runs write their results to")
BESIDE = Kind("picture beside the class folders", "pictures beside the class folders")


@dataclass
class LeftOut:
    """The record of what a listing left out; it is filled during the listing.

    Attributes:
        counts: Counts by kind, and by suffix or another name.
        empty: Folders without a picture in them or below, relative to the listed one.
        telling: Other files that may tell the labels of pictures, and zips, sorted within each folder; ``None`` if
            they are only counted.
        videos: Videos, sorted within each folder; ``None`` if they are only counted.
    """

    counts: dict[Kind, Counter[str]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    telling: list[Path] | None = None
    videos: list[Path] | None = None

    def add(self, kind: Kind, name: str = "", *, whole: bool = False) -> None:
        """Count a file by its kind and its suffix, or by its whole name; a name without a suffix counts too."""
        self.counts.setdefault(kind, Counter())[name if whole else PurePath(name).suffix.lower()] += 1

    def use(self, kind: Kind, name: str) -> None:
        """Stop counting a file that turned out to be of use; it was counted by its kind and its suffix."""
        counts, suffix = self.counts.get(kind, Counter()), PurePath(name).suffix.lower()
        counts[suffix] -= 1
        if counts[suffix] <= 0:
            del counts[suffix]
        if not counts:
            self.counts.pop(kind, None)

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        """Describe it in one line, such as ``3 videos (.mp4), 2 other files (.txt, .xml)``."""
        return ", ".join(_describe(kind, suffixes) for kind, suffixes in self.counts.items())

    def say(self, root: object, *, folders: bool = False) -> None:
        """Log it in one line, if there is anything to report.

        Args:
            root: The listed folder.
            folders: Whether to name folders without a picture too.
        """
        parts = [f"left out of {_text(root)}: {self}"] if self else []
        if folders and self.empty:
            parts.append(f"folders without a picture: {name_some(self.empty)}")
        if parts:
            log.warning("%s", "; ".join(parts))


def list_images(root: Path, left_out: LeftOut | None = None) -> Iterator[Path]:
    """Yield the pictures of a folder and its subfolders, including linked ones, sorted by name.

    The listing is lazy: it holds the names of one folder at a time, and yields pictures as soon as their folder is
    sorted.

    Args:
        root: The folder; it may be a link.
        left_out: Record of what is left out. It is complete at the end of the listing.

    Raises:
        CmaenError: The folder cannot be read; a subfolder that cannot be read is logged, counted and left out.
    """
    left_out = LeftOut() if left_out is None else left_out
    yield from _Walk(root, left_out).pictures(root, ())


def left_out_kind(name: str, head: Callable[[], bytes]) -> Kind | None:
    """Determine the kind of a file that is not a readable picture; ``None`` for a picture.

    Args:
        name: Name of the file, with or without folders.
        head: Returns at most its first :data:`HEAD` bytes; only called if the name does not tell.
    """
    if is_image_name(name):
        return None
    suffix = PurePath(name).suffix.lower()
    if suffix not in _RAW:
        kind = sniff(head())
        if kind in FORMATS:
            return None
        if kind is not None:
            return VIDEO if kind == "video" else UNREAD
    return VIDEO if suffix in _VIDEOS else UNREAD if suffix in _UNREAD else OTHER


def name_tells(name: str) -> bool:
    """Whether a file's name alone shows that it is not a picture, where looking into it is expensive."""
    return PurePath(name).suffix.lower() in _VIDEOS | _OTHERS


def may_tell(name: str) -> bool:
    """Whether a file of this name may tell the labels of pictures, or hold pictures."""
    return PurePath(name).suffix.lower() in _TELLING


def is_rubbish(name: str) -> bool:
    """Whether a file or folder of this name is left behind by systems and programs; such names are skipped silently."""
    return name.lower() in _RUBBISH or name.startswith(("._", "~$")) or name.startswith(".Trash-")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, and so not meant as data."""
    return name.startswith(".") and name not in (".", "..")


def name_some(names: list[str]) -> str:
    """Join the first few names for a sentence, and say how many more there are."""
    more = len(names) - _MOST_NAMED
    listed = ", ".join(names[:_MOST_NAMED] if more > 1 else names)
    return f"{listed} and {more:,} more" if more > 1 else listed


class _Walk:
    """One listing: it remembers the links it has followed, so that none is followed in circles."""

    def __init__(self, root: Path, left_out: LeftOut) -> None:
        self._root = root
        self._left_out = left_out
        self._linked: set[tuple[int, int]] = set()

    def pictures(self, folder: Path, above: tuple[tuple[int, int], ...], *, links: int = 0) -> Iterator[Path]:
        """Yield the pictures of a folder, given the identities of its parents and the number of links followed."""
        try:
            with os.scandir(folder) as found:
                names, kinds = [], {}  # only the name is kept of a plain file, of which there may be millions
                for entry in found:
                    names.append(entry.name)
                    if not entry.is_file(follow_symlinks=False):
                        kinds[entry.name] = entry.is_symlink()
            above = (*above, _identity(folder))
        except NotADirectoryError as error:
            raise CmaenError(f"{printable(folder)} is not a folder; for a single image, use --image") from error
        except OSError as error:
            raise CmaenError(f"{printable(folder)} cannot be read: {error.strerror}") from error
        if LOCK in names and folder != self._root and is_held(folder):
            self._left_out.add(WRITTEN, printable(folder.relative_to(self._root)), whole=True)
            return
        names.sort()
        any_picture = False
        for name in names:
            path = folder / name
            if is_rubbish(name):
                continue
            if is_hidden(name):
                self._left_out.add(HIDDEN)
            elif name in kinds and _is_folder(path):
                for picture in self._below(path, above, links + kinds[name], linked=kinds[name]):
                    any_picture = True
                    yield picture
            elif is_image_name(name):
                any_picture = True
                yield path
            elif (kind := left_out_kind(name, lambda path=path: _head(path))) is not None:  # type: ignore[misc]
                if kind is VIDEO and self._left_out.videos is not None:
                    self._left_out.videos.append(path)
                    continue
                self._left_out.add(kind, name)
                if self._left_out.telling is not None and kind is OTHER and may_tell(name):
                    self._left_out.telling.append(path)
            else:
                any_picture = True
                yield path
        if not any_picture and folder != self._root:
            self._left_out.empty.append(printable(folder.relative_to(self._root)))

    def _below(self, path: Path, above: tuple[tuple[int, int], ...], links: int, *, linked: bool) -> Iterator[Path]:
        """Yield the pictures of a subfolder.

        A folder never lies in itself. A link that is met while another link is followed is only followed if nothing has
        led to its folder before: thus folders that link to each other end, and each picture is found.
        """
        try:
            identity = _identity(path)
            if identity in above or (linked and links > 1 and identity in self._linked):
                self._left_out.add(AGAIN)
                return
            if linked:
                self._linked.add(identity)
            yield from self.pictures(path, above, links=links)
        except (CmaenError, OSError) as error:
            self._left_out.add(CLOSED)
            log.warning("%s; it is left out", error)
        except RecursionError:
            self._left_out.add(CLOSED)
            log.warning("%.200s is nested too deeply; it is left out", printable(path))


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder or a link to one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _head(path: Path) -> bytes:
    """Read the first bytes of a file; none if it cannot be read, or is not a regular file and could block."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def _describe(kind: Kind, suffixes: Counter[str]) -> str:
    count = suffixes.total()
    text = f"{count:,} {kind.one if count == 1 else kind.several}"
    endings = [printable(suffix) for suffix, _ in suffixes.most_common() if suffix]
    return f"{text} ({name_some(endings)})" if endings else text


def _text(root: object) -> str:
    return printable(root) if isinstance(root, str | os.PathLike) else str(root)
