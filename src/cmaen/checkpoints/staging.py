"""Changing several files of a folder as one: after a kill all of them are the new ones, or all are the old ones."""

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
"""In a draft: the names of the files that go away."""
_PATIENCE = 30.0
"""Seconds to wait for another process that is just putting its files in their places."""


@contextmanager
def stage(folder: Path) -> Iterator[Path]:
    """A draft folder whose files take their places in ``folder``, all or none, when the block ends well.

    The draft is renamed in one step, which decides; then its files are moved. Where a kill comes in between,
    :func:`settle` moves the rest, and whoever reads the folder calls it first. Files that the draft does not hold stay,
    unless :func:`remove` names them. Nobody else changes the folder meanwhile.

    Raises:
        OutputError: The folder cannot be written, or another process changes it; it is as it was.
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
    """Let files of the folder go away when the draft takes its place."""
    write_text(draft / _GONE, json.dumps(names))


def settle(folder: Path) -> None:
    """Finish a change that a kill has interrupted, or wait for its end; where there is none, nothing happens.

    One process at a time moves the files. Two could take turns with a third that already makes the next change, and
    whoever is late would move or remove files of that.

    Raises:
        OutputError: The folder cannot be written, or another process does not come to its end.
    """
    deadline = time.monotonic() + _PATIENCE
    while _is_committed(folder) and not _finish(folder):
        if time.monotonic() > deadline:
            raise BusyError(f"{folder} is being written by another run, which does not come to its end")
        time.sleep(0.01)


def _finish(folder: Path) -> bool:
    """Move the files of a committed draft; ``False`` where another process does so."""
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
    """Put the files of a committed draft in their places; only who holds the folder does so.

    Raises:
        OSError, OutputError: They cannot be moved.
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
    """The names of the files that go away."""
    try:
        names = json.loads((committed / _GONE).read_text(encoding="utf-8"))
        return [name for name in names if name not in ("", ".", "..") and Path(name).name == name]
    except (OSError, ValueError, TypeError):
        return []


def _move(source: Path, target: Path) -> None:
    """Put a file in its place; a link stays one, and permissions stay as they were."""
    if target.is_symlink():
        with replace_file(target) as temporary:
            shutil.copyfile(source, temporary)
        source.unlink()
        return
    with suppress(FileNotFoundError):
        shutil.copymode(target, source)
    source.replace(target)
