"""Which files of a folder are pictures: one walk for prediction, training and every other verb, and what it leaves out.

A file is a picture by its suffix, or, where the suffix says nothing of the kind, by its first bytes. Linked folders are
followed, hidden rubbish is passed over, and whatever else is not given is counted by kind, so that it can be said. A
folder that a run writes its results to, be it the run that lists, is left out as a whole: the run holds it, see
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
from cmaen.images import printable
from cmaen.locks import LOCK, is_held
from cmaen.signatures import FORMATS, HEAD, is_image_name, sniff


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
"""What systems and programs leave in folders, and nobody means as data; in small letters."""
_VIDEOS = _suffixes(
    "3g2 3gp asf avi divx f4v flv m2ts m2v m4v mkv mov mp4 mpeg mpg mts mxf ogv rm rmvb ts vob webm wmv"
)
_UNREAD = _suffixes(
    "3fr ai arw avif cr2 cr3 dng dxf emf eps exr hdr heic heics heif heifs hif ico icns j2k jp2 "
    "jpf jpx jxl kdc nef nrw orf pbm pcx pef psb psd raf raw rw2 sr2 srw svg svgz tga wmf "
    "x3f xcf"
)
"""Pictures in formats that may not be read here; raw photographs begin like TIFF, so their bytes do not tell."""
_RAW = _suffixes("3fr arw cr2 cr3 dng kdc nef nrw orf pef raf raw rw2 sr2 srw x3f")
_OTHERS = _suffixes(
    "7z aac bz2 cfg csv db doc docx flac gz htm html ini ipynb json jsonl log m4a mat md mp3 npy "
    "npz ogg parquet pdf pkl pt pth py rar rst srt tar toml tsv txt wav xls xlsx xml yaml yml "
    "zip"
)
"""What is certainly no picture, where looking at the bytes is dear."""
_MOST_NAMED = 5

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """What a file or folder is that a listing leaves out, as one and as several are called."""

    one: str
    several: str


VIDEO = Kind("video", "videos")
UNREAD = Kind("picture of a format that cannot be read here", "pictures of formats that cannot be read here")
HIDDEN = Kind("hidden file or folder", "hidden files and folders")
OTHER = Kind("other file", "other files")
CLOSED = Kind("folder that cannot be read", "folders that cannot be read")
AGAIN = Kind("link to a folder that was listed already", "links to folders that were listed already")
WRITTEN = Kind("folder that a run writes its results to", "folders that runs write their results to")
BESIDE = Kind("picture beside the class folders", "pictures beside the class folders")


@dataclass
class LeftOut:
    """What one listing did not give; filled as it goes on.

    Attributes:
        counts: By kind, and by suffix or what else it is told by.
        empty: Folders without a picture in them or below, relative to the listed one.
    """

    counts: dict[Kind, Counter[str]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    def add(self, kind: Kind, name: str = "", *, whole: bool = False) -> None:
        """Count a file by its kind and its suffix, or by its whole name; a name without a suffix counts as well."""
        self.counts.setdefault(kind, Counter())[name if whole else PurePath(name).suffix.lower()] += 1

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        """One line, like ``3 videos (.mp4), 2 other files (.txt, .xml)``."""
        return ", ".join(_describe(kind, suffixes) for kind, suffixes in self.counts.items())

    def say(self, root: object, *, folders: bool = False) -> None:
        """Put it on the log, in one line, if there is anything to say.

        Args:
            root: What was listed.
            folders: Name the folders without a picture, too.
        """
        parts = [f"left out of {_text(root)}: {self}"] if self else []
        if folders and self.empty:
            parts.append(f"folders without a picture: {name_some(self.empty)}")
        if parts:
            log.warning("%s", "; ".join(parts))


def list_images(root: Path, left_out: LeftOut | None = None) -> Iterator[Path]:
    """The pictures of a folder and of those in it, linked ones too, by their names and in order.

    It is lazy: the names of one folder at a time are held, and a picture comes as soon as its folder is sorted.

    Args:
        root: The folder; it may be a link.
        left_out: Takes what is not given. It is complete at the end of the listing.

    Raises:
        CmaenError: The folder cannot be read; one in it that cannot be is said, counted and left out.
    """
    left_out = LeftOut() if left_out is None else left_out
    yield from _Walk(root, left_out).pictures(root, ())


def left_out_kind(name: str, head: Callable[[], bytes]) -> Kind | None:
    """What kind of thing a file is that is no picture which can be read; ``None`` for a picture.

    Args:
        name: Of the file, with or without folders.
        head: Gives its first :data:`HEAD` bytes, or fewer; only called where the name does not tell.
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
    """Whether a file's name is enough to know that it is no picture, where looking into it is dear."""
    return PurePath(name).suffix.lower() in _VIDEOS | _OTHERS


def is_rubbish(name: str) -> bool:
    """Whether a file or folder of this name is what systems and programs leave behind; it is passed over in silence."""
    return name.lower() in _RUBBISH or name.startswith(("._", "~$")) or name.startswith(".Trash-")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, and so not meant as data."""
    return name.startswith(".") and name not in (".", "..")


def name_some(names: list[str]) -> str:
    """Some names for a sentence: the first few, and how many more there are."""
    more = len(names) - _MOST_NAMED
    listed = ", ".join(names[:_MOST_NAMED] if more > 1 else names)
    return f"{listed} and {more:,} more" if more > 1 else listed


class _Walk:
    """One listing: what it has seen of links, so that none is followed round and round."""

    def __init__(self, root: Path, left_out: LeftOut) -> None:
        self._root = root
        self._left_out = left_out
        self._linked: set[tuple[int, int]] = set()

    def pictures(self, folder: Path, above: tuple[tuple[int, int], ...], *, links: int = 0) -> Iterator[Path]:
        """Those of a folder, which lies in folders of these identities, under so many links."""
        try:
            with os.scandir(folder) as found:
                names, kinds = [], {}  # a name is all that is held of a plain file, of which there may be millions
                for entry in found:
                    names.append(entry.name)
                    if not entry.is_file(follow_symlinks=False):
                        kinds[entry.name] = entry.is_symlink()
            above = (*above, _identity(folder))
        except NotADirectoryError as error:
            raise CmaenError(f"{printable(folder)} is not a folder; for one image use --image") from error
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
                self._left_out.add(kind, name)
            else:
                any_picture = True
                yield path
        if not any_picture and folder != self._root:
            self._left_out.empty.append(printable(folder.relative_to(self._root)))

    def _below(self, path: Path, above: tuple[tuple[int, int], ...], links: int, *, linked: bool) -> Iterator[Path]:
        """The pictures of a folder in another one.

        A folder never lies in itself. A link that is met while another link is followed is only taken where nothing has
        led to its folder before: folders that link each other in circles end, and each picture is found.
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
            log.warning("%.200s lies too deep; it is left out", printable(path))


def _is_folder(path: Path) -> bool:
    """Whether it is one, or a link to one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _head(path: Path) -> bytes:
    """The first bytes of a file; none of what is no regular file, which could block, and of what cannot be read."""
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
