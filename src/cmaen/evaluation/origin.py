"""Where the figures of a report come from, in words that a reader can check."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cmaen.data.splits import FaceSet, Split
from cmaen.escaping import printable

OFFICIAL = {Split.TRAIN: 28_709, Split.VALIDATION: 3_589, Split.TEST: 3_589, Split.BOTH: 7_178}
"""How many faces the splits of FER2013 have."""
_ROW = re.compile(r" \(row \d+\)$")
"""After the path of a face in a CSV that is one of several in its picture."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What was measured, on what, when and by which command.

    Attributes:
        data: The path of the faces as it was given; ``None`` for faces that were in memory.
        split: Which of its faces, in words, see :func:`describe_split`.
        fingerprint: The first twelve digits of :meth:`cmaen.data.splits.FaceSet.fingerprint`: the same names, labels
            and pixels have the same one.
        checkpoint: Its name and what tells it from others of that name.
        engine: That computed.
        command: As it is typed; ``None`` where no command was given.
        version: Of this package.
        date: Year, month, day and time, in UTC.
    """

    data: str | None
    split: str
    fingerprint: str
    checkpoint: str
    engine: str
    command: str | None
    version: str
    date: str

    @classmethod
    def of(
        cls, faces: FaceSet, *, data: Path | None, checkpoint: str, engine: str, command: Sequence[str] | None = None
    ) -> Origin:
        """Of faces that were measured just now.

        Args:
            faces: That were measured.
            data: Where they were read from.
            checkpoint, engine: See :class:`Origin`.
            command: Its words.
        """
        return cls(
            None if data is None else abbreviate_home(printable(data)),
            describe_split(faces),
            faces.fingerprint()[:12],
            checkpoint,
            engine,
            None if command is None else describe_command(command),
            importlib.metadata.version("cmaen"),
            f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        )

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return asdict(self)


def describe_split(faces: FaceSet) -> str:
    """Which faces these are, in words: a word of FER2013 where they are its split, whole, and only there."""
    count = f"{len(faces):,} faces" if len(faces) != 1 else "1 face"
    if faces.title not in {split.value for split in Split}:
        return f"{faces.title}, {count}"
    official = OFFICIAL[faces.split]
    if len(faces) + len(faces.unreadable) == official:
        return f"FER2013's {faces.title}, {count}"
    return f"{faces.split.folder}, {count} named like FER2013's {faces.title} (which has {official:,})"


def describe_command(words: Sequence[str]) -> str:
    """A command as it is typed, without the path of the home directory: that is ``~``."""
    return " ".join(_quote(abbreviate_home(word)) for word in words)


def abbreviate_home(path: str) -> str:
    """A path as text, with ``~`` for the home directory, which often bears somebody's name."""
    home = os.path.expanduser("~")  # noqa: PTH111 - without an error where there is no home
    inside = home not in ("~", "", os.sep) and (path == home or path.startswith(home + os.sep))
    return f"~{path[len(home) :]}" if inside else path


def link_file(name: str, data: Path | None, folder: Path) -> str | None:
    """The address of a face's file, relative to the folder of the page that links to it.

    Args:
        name: Of the face, as in :attr:`cmaen.data.splits.FaceSet.names`.
        data: Where it was read from: a folder, or a CSV beside which the files lie.
        folder: Of the page.

    Returns:
        ``None`` where it has no file of its own (in a zip, or FER2013's CSV), or none by its name, or where the way to
        it would tell the name of a home directory that nobody named.
    """
    if data is None:
        return None
    root = data if data.is_dir() else data.parent
    home = Path(os.path.expanduser("~"))  # noqa: PTH111
    try:
        file = Path(os.path.abspath(root / _ROW.sub("", name)))  # noqa: PTH100 - links stay
        if not file.is_file():
            return None
        page = Path(os.path.abspath(folder))  # noqa: PTH100
        if not data.is_absolute() and home in file.parents and home not in (page, *page.parents):
            return None
        return quote(Path(os.path.relpath(file, page)).as_posix())
    except (ValueError, OSError):  # on another drive of Windows, or a name that no file can have
        return None


def _quote(word: str) -> str:
    """A word as it is typed in a shell; a leading ``~/`` stays outside of the quotes, in which it would mean itself."""
    if sys.platform == "win32":
        return subprocess.list2cmdline([word])
    return f"~/{shlex.quote(word[2:])}" if word.startswith("~/") and len(word) > 2 else shlex.quote(word)
