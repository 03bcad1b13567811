"""Changing several files of a folder atomically: after a kill, all files are new or all are old."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cmaen.errors import BusyError, OutputError
from cmaen.files import replace_file, unwritable, write_text
from cmaen.locks import hold

_DRAFT = ".cmaen-draft-"
_COMMITTED = ".cmaen-committed"
_GONE = "gone.json"
"""The file in a draft with the names of the files to remove."""
_PATIENCE = 30.0
"""Seconds to wait for another process that is moving its files into place."""


@contextmanager
def stage(folder: Path) -> Iterator[Path]:
    """Open a draft folder whose files are moved to ``folder``, all or none, when the block succeeds.

    A single rename of the draft commits it; then its files are moved. After a kill in between, :func:`settle` moves the
    rest; every reader of the folder calls it first. Files that are not in the draft stay, unless :func:`remove` names
    them. The folder is locked meanwhile.

    Raises:
        OutputError: The folder cannot be written, or another process is changing it; it is unchanged.
    """
    try:
        with hold(folder):
            _move_all(folder)
            for left in folder.glob(f"{_DRAFT}*"):
                shutil.rmtree(left, ignore_errors=True)
            draft = Path(tempfile.mkdtemp(dir=folder, prefix=_DRAFT))
            try:
                yield draft
                for path in draft.iterdir():
                    with path.open("ab") as file:
                        os.fsync(file.fileno())
                draft.rename(folder / _COMMITTED)
                _move_all(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def remove(draft: Path, *names: str) -> None:
    """Mark files of the folder for removal when the draft is committed."""
    write_text(draft / _GONE, json.dumps(names))


def settle(folder: Path) -> None:
    """Finish a change that a kill has interrupted, or wait for its end; without one, do nothing.

    One process at a time moves the files. Otherwise two could alternate with a third that already makes the next
    change, and the late one would move or remove files of that change.

    Raises:
        OutputError: The folder cannot be written, or another process does not finish.
    """
    deadline = time.monotonic() + _PATIENCE
    while _is_committed(folder) and not _finish(folder):
        if time.monotonic() > deadline:
            raise BusyError(f"{folder} is being written by another run, which does not finish")
        time.sleep(0.01)


def _finish(folder: Path) -> bool:
    """Move the files of a committed draft; return ``False`` if another process is doing so."""
    try:
        with hold(folder):
            _move_all(folder)
    except BusyError:
        return False
    except (OSError, OutputError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"a change of {folder} was interrupted and cannot be finished: {reason}") from error
    return True


def _is_committed(folder: Path) -> bool:
    committed = folder / _COMMITTED
    return committed.is_dir() and not committed.is_symlink()


def _move_all(folder: Path) -> None:
    """Move the files of a committed draft into place; the caller must hold the lock of the folder.

    Raises:
        OSError, OutputError: The files cannot be moved.
    """
    if not _is_committed(folder):
        return
    committed = folder / _COMMITTED
    gone = _read_gone(committed)
    for path in sorted(committed.iterdir()):
        if path.name != _GONE and path.is_file() and not path.is_symlink():
            _move(path, folder / path.name)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(committed)


def _read_gone(committed: Path) -> list[str]:
    """Read the names of the files to remove."""
    try:
        names = json.loads((committed / _GONE).read_text(encoding="utf-8"))
        return [name for name in names if name not in ("", ".", "..") and Path(name).name == name]
    except (OSError, ValueError, TypeError):
        return []


def _move(source: Path, target: Path) -> None:
    """Move a file into place; a link stays a link, and permissions are kept."""
    if target.is_symlink():
        with replace_file(target) as temporary:
            shutil.copyfile(source, temporary)
        source.unlink()
        return
    with suppress(FileNotFoundError):
        shutil.copymode(target, source)
    source.replace(target)
