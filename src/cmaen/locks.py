"""One run writes an output at a time: a second one is refused, and a kill lets go of it."""

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
"""Seconds; a listing that looks whether a folder is held has its lock for less."""
_File = TypeVar("_File", bound=IO[Any])

log = logging.getLogger(__name__)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Write a folder alone, which is made; temporary files that killed runs have left in it go away.

    The lock is a file in it, ``.lock``, that goes away at the end, as a new folder does in which nothing was written.
    After a kill it stays and holds nobody up. Meanwhile no listing gives what lies in the folder, see
    :mod:`cmaen.listing`: no run takes its own results, or the unfinished ones of another, for its inputs.

    Raises:
        OutputError: Another run writes the folder, or it cannot be written.
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
                    continue  # the run that had made it has just removed it
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
                folder.rmdir()  # where nothing was written


def is_held(folder: Path) -> bool:
    """Whether a run writes a folder; also where there is a lock of which nothing can be known."""
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
    """An open file, locked for this process until it is closed.

    Args:
        file: Of this process alone, where the lock can be had; it is closed where it cannot.
        output: What it stands for, to say which.

    Raises:
        BusyError: Another run holds it.
    """
    answer = claim(file.fileno())
    if answer is False:
        time.sleep(_GLANCE)
        answer = claim(file.fileno())
    if answer is False:
        file.close()
        raise BusyError(f"{output} is being written by another run: wait for its end, or choose another place")
    if answer is None:
        log.warning("%s cannot be locked on its file system: start no second run into it", output)
    return file


def let_go(file: IO[Any]) -> None:
    """Close a file that is :func:`locked <lock>`, whatever a full disk says."""
    try:
        file.close()
    except OSError:  # what it has refused is refused again
        with suppress(OSError, ValueError):
            unclaim(file.fileno())


def remove_held(path: Path, file: IO[Any]) -> None:
    """Remove a file that is :func:`locked <lock>`, and close it, in the order that leaves no gap."""
    first = os.name != "nt"  # Windows removes no open file
    with suppress(OSError):
        if first and is_same_file(path, file.fileno()):
            path.unlink()
    let_go(file)
    with suppress(OSError):
        if not first:
            path.unlink()
