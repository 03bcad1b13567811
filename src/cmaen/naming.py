"""Names of output files: one function maps the identity of a file to its place, and never two identities to one."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path, PurePosixPath

_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*\x7f]')
"""Characters that Windows does not allow in names."""
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³")})
_LONGEST = 200
"""Maximum length of a name in UTF-8 bytes: file systems allow 255, and temporary files and endings add to it."""
_DIGITS = 8


class Names:
    """A register that gives each output file of one folder its own place, always the same for the same identity.

    A wanted name is kept if possible. It is changed if a file system would not accept it, and gets some digits of its
    identity's hash if another file already has the place, or has it on a file system that does not distinguish ``A``
    from ``a`` or ``é`` from ``e`` and an accent. 16 bytes are kept for each file.
    """

    def __init__(self) -> None:
        self._files: dict[int, int] = {}  # what is at a place, by hashes of both
        self._folders: set[int] = set()

    def place(self, wanted: Sequence[str], identity: str, *, ending: str | None = None) -> Path:
        """Return a relative path that is neither a file of another identity nor a folder of one.

        Args:
            wanted: Folders and the file's name, each as one part.
            identity: Unique identity of the file's content; it determines the digits of a name that is taken.
            ending: Ending of the name before which digits are inserted; by default its suffix.

        Returns:
            A path with as many parts as are wanted, or one named ``_`` if there are none.
        """
        *folders, name = wanted or ("_",)
        place = PurePosixPath()
        for number, folder in enumerate(folders):
            digits = _digits("/".join(wanted[: number + 1]))
            place = next(path for path in _near(place, folder, digits) if _key(path) not in self._files)
            self._folders.add(_key(place))
        own = _hash(identity)
        for path in _near(place, name, _digits(identity), ending):
            key = _key(path)
            if key not in self._folders and self._files.setdefault(key, own) == own:
                return Path(os.fsdecode(str(path).encode()))  # also if file names are not UTF-8
        raise AssertionError  # the digits never end


def _near(
    folder: PurePosixPath, name: str, digits: Iterable[str], ending: str | None = None
) -> Iterator[PurePosixPath]:
    """Yield the name in the folder, then the name with digits, and with others."""
    yield folder / safe_name(name, suffix=ending)
    for some in digits:
        yield folder / safe_name(name, f"-{some}", suffix=ending)


def _digits(identity: str) -> Iterator[str]:
    for attempt in count():
        text = f"{identity}\0{attempt}" if attempt else identity
        yield hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:_DIGITS]


def make_unique(names: Sequence[str], longer: Sequence[str] | None = None) -> list[str]:
    """Make names unique: equal ones become longer ones, or are numbered from the second on.

    Args:
        names: The wanted names.
        longer: A longer alternative for each name, used for those that are equal; ``None``: they are only numbered.

    Returns:
        The unique names, in the same order; a name without a duplicate is unchanged.
    """
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    if longer is not None:
        names = [long if counts[name] > 1 else name for name, long in zip(names, longer, strict=True)]
    firsts, taken, unique = set(names), set[str](), list[str]()
    for name in names:
        candidate, number = name, 2
        while candidate in taken or (candidate is not name and candidate in firsts):
            candidate, number = f"{name} ({number})", number + 1
        taken.add(candidate)
        unique.append(candidate)
    return unique


def safe_name(name: str, ending: str = "", *, suffix: str | None = None) -> str:
    """Return a name that Linux, macOS and Windows accept and that is not hidden; an acceptable name is unchanged.

    Args:
        name: One part of a path.
        ending: Text to insert before the suffix.
        suffix: Suffix of the name, if it is longer than what follows the last dot, such as ``_events.tsv``.
    """
    text = name.encode(errors="backslashreplace").decode()  # of bytes that are not text
    text = _FORBIDDEN.sub("_", text).rstrip(". ")
    text = f"_{text[1:]}" if text.startswith(".") else text or "_"
    if suffix is None or not text.endswith(suffix):
        suffix = PurePosixPath(text).suffix
    suffix = suffix if len(suffix.encode()) <= _LONGEST // 4 else ""
    stem = text[: len(text) - len(suffix)]
    if stem.partition(".")[0].rstrip(" ").lower() in _DEVICES:
        stem = f"_{stem}"
    room = _LONGEST - len(f"{ending}{suffix}".encode())
    stem = stem.encode()[:room].decode(errors="ignore") if len(stem.encode()) > room else stem
    return f"{stem.rstrip('. ')}{ending}{suffix}" if stem.rstrip(". ") else f"_{ending}{suffix}"


def _key(place: PurePosixPath) -> int:
    """Compute a key for file systems that distinguish neither case nor spellings of an accent."""
    return _hash(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", place.as_posix()).casefold()))


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode(errors="backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
