"""Changing several files of a folder as one: after a kill all of them are the new ones, or all are the old ones."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cmaen.errors import OutputError
from cmaen.files import replacing, unwritable, write_text
from cmaen.locks import hold

_DRAFT = ".cmaen-draft-"
_COMMITTED = ".cmaen-committed"
_GONE = "gone.json"
"""In a draft: the names of the files that go away."""


@contextmanager
def changing(folder: Path) -> Iterator[Path]:
    """A draft folder whose files take their places in ``folder``, all or none, when the block ends well.

    The draft is renamed in one step, which decides; then its files are moved. Where a kill comes in between,
    :func:`settle` moves the rest, and whoever reads the folder calls it first. Files that the draft does not hold stay,
    unless :func:`remove` names them. Nobody else changes the folder meanwhile.

    Raises:
        OutputError: The folder cannot be written, or another process changes it; it is as it was.
    """
    try:
        with hold(folder):
            settle(folder)
            for left in folder.glob(f"{_DRAFT}*"):
                shutil.rmtree(left, ignore_errors=True)
            draft = Path(tempfile.mkdtemp(dir=folder, prefix=_DRAFT))
            try:
                yield draft
                for path in draft.iterdir():
                    with path.open("ab") as file:
                        os.fsync(file.fileno())
                draft.rename(folder / _COMMITTED)
                settle(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def remove(draft: Path, *names: str) -> None:
    """Let files of the folder go away when the draft takes its place."""
    write_text(draft / _GONE, json.dumps(names))


def settle(folder: Path) -> None:
    """Finish a change that a kill has interrupted; where there is none, nothing happens.

    Raises:
        OutputError: The folder cannot be written.
    """
    committed = folder / _COMMITTED
    if committed.is_symlink() or not committed.is_dir():
        return
    try:
        gone = _gone(committed)
        for path in sorted(committed.iterdir()):
            if path.name != _GONE and path.is_file() and not path.is_symlink():
                _move(path, folder / path.name)
        for name in gone:
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(committed)
    except FileNotFoundError:
        pass  # another process settles the same
    except OSError as error:
        raise OutputError(f"a change of {folder} was interrupted and cannot be finished: {error.strerror}") from error


def _gone(committed: Path) -> list[str]:
    """The names of the files that go away."""
    try:
        names = json.loads((committed / _GONE).read_text(encoding="utf-8"))
        return [name for name in names if name not in ("", ".", "..") and Path(name).name == name]
    except (OSError, ValueError, TypeError):
        return []


def _move(source: Path, target: Path) -> None:
    """Put a file in its place; a link stays one, and permissions stay as they were."""
    if target.is_symlink():
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)
        source.unlink()
        return
    with suppress(FileNotFoundError):
        shutil.copymode(target, source)
    source.replace(target)
