"""Locks: only one run at a time writes an output; a second one is refused, and a kill releases the lock."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from cmaen.errors import BusyError
from cmaen.files import claim, is_same_file, sweep, unclaim, unwritable

LOCK = ".lock"
_GLANCE = 0.05
"""Maximum time in seconds that a listing holds the lock of a folder to see whether a run has it."""
_File = TypeVar("_File", bound=IO[Any])

log = logging.getLogger(__name__)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Create a folder if needed and hold it for exclusive writing; temporary files of killed runs in it are removed.

    The lock is a file in it, ``.lock``, that is removed at the end, as is a new folder into which nothing was written.
    After a kill it stays but blocks nobody. Meanwhile listings skip the folder, see :mod:`cmaen.listing`: no run takes
    its own results, or the unfinished ones of another, as its inputs.

    Raises:
        OutputError: Another run is writing the folder, or it cannot be written.
    """
    there = folder.is_dir()
    try:
        place = folder / LOCK
        while True:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            try:
                file: IO[bytes] = lock(os.fdopen(os.open(place, flags, 0o666), "r+b", buffering=0), folder)
            except FileNotFoundError:
                if not folder.is_dir():
                    continue  # the run that had created it has just removed it
                raise
            if is_same_file(place, file.fileno()):
                break
            file.close()  # the run that held it has just removed it
    except OSError as error:
        raise unwritable(folder, error) from error
    sweep(folder)
    try:
        yield
    finally:
        remove_held(place, file)
        if not there:
            with suppress(OSError):
                folder.rmdir()  # if nothing was written


def is_held(folder: Path) -> bool:
    """Whether a run is writing a folder, or has a lock whose state cannot be determined."""
    place = folder / LOCK
    if not place.is_file():
        return False
    try:
        with place.open("rb") as file:
            return claim(file.fileno()) is not True
    except FileNotFoundError:
        return False
    except OSError:
        return True


def lock(file: _File, output: Path) -> _File:
    """Lock an open file for this process until it is closed.

    Args:
        file: The file, exclusive to this process if the lock is available; otherwise it is closed.
        output: The output that it stands for, for the message.

    Raises:
        BusyError: Another run holds the lock.
    """
    answer = claim(file.fileno())
    if answer is False:
        time.sleep(_GLANCE)
        answer = claim(file.fileno())
    if answer is False:
        file.close()
        raise BusyError(f"{output} is being written by another run: wait until it ends, or choose another place")
    if answer is None:
        log.warning("%s cannot be locked on its file system: do not start a second run into it", output)
    return file


def let_go(file: IO[Any]) -> None:
    """Close a file that is :func:`locked <lock>`, whatever errors a full disk causes."""
    try:
        file.close()
    except OSError:  # what was refused before is refused again
        with suppress(OSError, ValueError):
            unclaim(file.fileno())


def remove_held(path: Path, file: IO[Any]) -> None:
    """Remove a file that is :func:`locked <lock>`, and close it, in the order that leaves no gap."""
    first = os.name != "nt"  # Windows cannot remove an open file
    with suppress(OSError):
        if first and is_same_file(path, file.fileno()):
            path.unlink()
    let_go(file)
    with suppress(OSError):
        if not first:
            path.unlink()
