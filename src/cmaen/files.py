"""Writing files such that a kill or a full disk never leaves a partial one."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from cmaen.errors import OutputError

try:
    fcntl: Any = import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_TEMPORARY = re.compile(r"\.cmaen-[0-9a-f]{16}-")
_FORGOTTEN = 24 * 3600.0
"""Seconds after which a temporary file is considered abandoned by a killed process, on file systems without locks."""
_PATIENCE = 5.0
"""Seconds to wait for a reader of a pipe."""


@contextmanager
def replace_file(path: Path, *, foreign: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """Yield a temporary file that replaces ``path`` when the block succeeds and is removed when it fails.

    A link stays a link, and its target is replaced. A replaced file keeps its permissions and, if allowed, its owner.
    The content for a pipe or a character device, such as ``/dev/null``, is written at the end.

    Of several hard links, only the name that is written gets the new content; the file's other names keep the old one.
    Changing all of them would mean writing into the file, where a kill or a full disk would leave a partial one.

    Args:
        path: Path of the file; its folder is created.
        foreign: Errors that libraries raise when they cannot write in the block, in addition to ``OSError``.

    Raises:
        OutputError: The file cannot be written; ``path`` is unchanged.
    """
    try:
        with (_passing_on if _takes_a_stream(path) else _rename_into)(path) as temporary:
            yield temporary
    except OSError as error:
        raise unwritable(path, error) from error
    except foreign as error:
        raise unwritable(path, error) from error


def check_place(path: Path) -> None:
    """Create the folder of a file that is written later, and check that the file can be written.

    Raises:
        OutputError: The file cannot be written.
    """
    place = _place_of(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{place.parent} cannot be created: {error.strerror}; choose another place") from error
    try:
        if _takes_a_stream(path):
            usable = os.access(path, os.W_OK)
        else:
            usable = os.access(place.parent, os.W_OK) and (not place.exists() or os.access(place, os.W_OK))
    except IsADirectoryError:
        usable = False
    except OSError as error:  # a name that is too long, for example
        raise unwritable(path, error) from error
    if not usable:
        raise OutputError(f"{path} cannot be written; choose another place")


def unwritable(path: Path, error: Exception) -> OutputError:
    """Build the error for a file that cannot be written, with advice; not every library raises ``OSError``."""
    number, said = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
    full = number in _FULL or os.strerror(errno.ENOSPC) in said or (number is None and _is_full(path))
    return OutputError(f"{path} could not be written: {said}; {'free some space' if full else 'choose another place'}")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sweep(folder: Path, stem: str = "") -> None:
    """Remove temporary files of :func:`replace_file` that killed processes have left; those in use stay.

    Args:
        folder: Folder of the files.
        stem: Stem of the files to clean up after; by default, all.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.match(entry.name)
            if found and entry.name[found.end() :].startswith(stem[:40]) and entry.is_file(follow_symlinks=False):
                _remove_forgotten(Path(entry.path))


def claim(handle: int, *, wait: bool = False) -> bool | None:
    """Lock an open file for this process until it is closed, even by a kill.

    Returns:
        Whether it succeeded; ``False`` if another process has the lock, ``None`` if the file system has no locks.
    """
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        else:
            msvcrt: Any = import_module("msvcrt")
            os.lseek(handle, (1 << 31) - 2, os.SEEK_SET)  # far beyond what is read; the largest possible number
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        taken = error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
        return False if taken else None
    return True


def unclaim(handle: int) -> None:
    """Release a lock before its file is closed."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_UN)


def same_file(one: Path, other: Path) -> bool:
    """Whether both exist and are the same file."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # a name that no file system has, for example
        return False


def is_same_file(path: Path, handle: int) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except OSError:
        return False


def _takes_a_stream(path: Path) -> bool:
    """Whether a path leads, through links, to a pipe or device instead of a file.

    Raises:
        OSError: It is a folder, a disk or a socket, or a broken link.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    return not stat.S_ISREG(mode)


def _place_of(path: Path) -> Path:
    """Resolve a path that may be a link."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114 - allows overlong names


@contextmanager
def _rename_into(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside a file, and rename it to that file at the end."""
    place = _place_of(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    before = place.stat() if place.exists() else None
    if before is not None and not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    temporary, handle = _create(place, before)
    try:
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
        if fcntl is None:  # Windows cannot rename an open file
            os.close(handle)
        yield temporary
        with temporary.open("ab") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)  # if the block has put another file there
        temporary.replace(place)
    finally:
        with suppress(OSError):
            temporary.unlink()
        if fcntl is not None:
            os.close(handle)


def _create(place: Path, before: os.stat_result | None) -> tuple[Path, int]:
    """Create a file beside another, with its permissions and its owner, open and locked until it is closed."""
    suffix = place.suffix if len(place.suffix) < 20 else ""
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode) & 0o777
    while True:
        temporary = place.with_name(f".cmaen-{secrets.token_hex(8)}-{place.stem[:40]}{suffix}")
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        if fcntl is not None:
            claim(handle, wait=True)
            if not is_same_file(temporary, handle):  # a sweep has removed it as abandoned
                os.close(handle)
                continue
        if before is not None and hasattr(os, "fchmod"):
            own = os.fstat(handle)
            if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid):
                with suppress(OSError):
                    os.fchown(handle, before.st_uid, before.st_gid)
            os.fchmod(handle, mode)
        return temporary, handle


@contextmanager
def _passing_on(path: Path) -> Iterator[Path]:
    """Yield a temporary file whose content is written to a pipe or a device at the end."""
    with tempfile.TemporaryDirectory(prefix="cmaen-", ignore_cleanup_errors=True) as folder:
        temporary = Path(folder) / f"output{path.suffix}"
        temporary.touch()
        yield temporary
        with temporary.open("rb") as source, os.fdopen(_open_pipe(path), "wb") as target:
            shutil.copyfileobj(source, target)


def _open_pipe(path: Path) -> int:
    """Open a pipe or a device for writing; a pipe without a reader is an error, not an endless wait."""
    deadline = time.monotonic() + _PATIENCE
    while (handle := _opened_at_once(path)) is None:
        if time.monotonic() > deadline:
            raise OSError(errno.ENXIO, "nothing reads from the pipe")
        time.sleep(0.05)
    return handle


def _opened_at_once(path: Path) -> int | None:
    """Open it without waiting; ``None`` if nobody reads."""
    try:
        handle = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(handle, True)
    return handle


def _remove_forgotten(path: Path) -> None:
    """Remove a temporary file unless the process that writes it may still be running."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDWR)
        try:
            free = claim(handle) if fcntl is not None else None
            if free or (free is None and time.time() - path.stat().st_mtime > _FORGOTTEN):
                if fcntl is None:
                    os.close(handle)
                path.unlink()
        finally:
            with suppress(OSError):
                os.close(handle)


def _is_full(path: Path) -> bool:
    """Whether the disk of a file is full; unknown, and so false, if its folder does not exist."""
    try:
        return shutil.disk_usage(path.parent).free < 1 << 20
    except OSError:
        return False
