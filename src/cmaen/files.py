"""Writing files such that a kill or a full disk never leaves half of one."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cmaen.errors import OutputError

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when the block ends well, and goes away when it does not.

    Raises:
        OutputError: The file cannot be written; ``path`` is as it was.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def check_place(path: Path) -> None:
    """Make the folder of a file that is written later, and look whether it can be.

    Raises:
        OutputError: It cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be made: {error.strerror}; choose another place") from error
    try:
        usable = os.access(path.parent, os.W_OK) and not path.is_dir()
    except OSError as error:  # like a name that is too long
        raise unwritable(path, error) from error
    if not usable:
        raise OutputError(f"{path} cannot be written; choose another place")


def unwritable(path: Path, error: Exception) -> OutputError:
    """What to say when a file cannot be written, and what to do about it; FFmpeg's errors are no ``OSError``."""
    advice = "free some space" if getattr(error, "errno", None) in _FULL else "choose another place"
    return OutputError(f"{path} could not be written: {getattr(error, 'strerror', None) or error}; {advice}")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
