"""The origin of the figures in a report, in words that a reader can check."""

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
"""Number of faces in each split of FER2013."""
_ROW = re.compile(r" \(row \d+\)$")
"""Suffix of the name of a face from a CSV if its picture holds several faces."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The record of a measurement: what was measured, on what, when and by which command.

    Attributes:
        data: Path of the faces as it was given; ``None`` for faces in memory.
        split: Description of the split, see :func:`describe_split`.
        fingerprint: First twelve digits of :meth:`cmaen.data.splits.FaceSet.fingerprint`, which are equal for equal
            names, labels and pixels.
        checkpoint: Name of the checkpoint, and what distinguishes it from others of that name.
        engine: Name of the engine that ran the network.
        command: The command as it is typed; ``None`` if there was none.
        version: Version of this package.
        date: Date and time of the measurement, in UTC.
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
        """Record the origin of figures that were measured just now.

        Args:
            faces: The measured faces.
            data: Path that the faces were read from.
            checkpoint, engine: Description and name, see :class:`Origin`.
            command: Words of the command.
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
        """Return a plain dict, ready for JSON."""
        return asdict(self)


def describe_split(faces: FaceSet) -> str:
    """Describe a split in words; only a complete split of FER2013 is called one of FER2013's."""
    count = f"{len(faces):,} faces" if len(faces) != 1 else "1 face"
    if faces.title not in {split.value for split in Split}:
        return f"{faces.title}, {count}"
    official = OFFICIAL[faces.split]
    if len(faces) + len(faces.unreadable) == official:
        return f"FER2013's {faces.title}, {count}"
    return f"{faces.split.folder}, {count} named like FER2013's {faces.title} (which has {official:,})"


def describe_command(words: Sequence[str]) -> str:
    """Join a command as it is typed, with ``~`` for the home directory."""
    return " ".join(_quote(abbreviate_home(word)) for word in words)


def abbreviate_home(path: str) -> str:
    """Replace the home directory at the beginning of a path, which often contains a person's name, with ``~``."""
    home = os.path.expanduser("~")  # noqa: PTH111 - without an error if there is no home
    inside = home not in ("~", "", os.sep) and (path == home or path.startswith(home + os.sep))
    return f"~{path[len(home) :]}" if inside else path


def link_file(name: str, data: Path | None, folder: Path) -> str | None:
    """Return the relative address of a face's file for a page that links to it.

    Args:
        name: Name of the face, as in :attr:`cmaen.data.splits.FaceSet.names`.
        data: Path that the face was read from: a folder, or a CSV in the folder of the files.
        folder: Folder of the page.

    Returns:
        The address; ``None`` if the face has no file of its own (in a zip, or in FER2013's CSV), if the file is not
        found by the name, or if the path would disclose the name of a home directory that the user did not give.
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
    except (ValueError, OSError):  # another drive on Windows, or an invalid file name
        return None


def _quote(word: str) -> str:
    """Quote a word for a shell; a leading ``~/`` stays outside the quotes, in which it would not be expanded."""
    if sys.platform == "win32":
        return subprocess.list2cmdline([word])
    return f"~/{shlex.quote(word[2:])}" if word.startswith("~/") and len(word) > 2 else shlex.quote(word)
