"""Limits for operations that cannot be interrupted: the time to read a file, and the number of pieces it is read in."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, NamedTuple

from PIL import Image as PILImage
from PIL import ImageFile

from cmaen.errors import SlowImageError, TruncatedImageError, UnreadableImageError

MOST_PIECES = 100_000
"""Maximum number of pieces in which the head of an image is read; photographs with much metadata have hundreds."""
MOST_SCANS = 500
"""Maximum number of scans of a progressive JPEG; cameras and programs write a dozen. Each takes few bytes but as much
time as the whole picture.
"""
_BLOCK = 4096
"""Number of bytes given to a decoder at a time: it can be stopped after each block."""
_PLAIN = (b"P1", b"P2", b"P3")
"""Formats with numbers as text, which take Pillow minutes instead of the moment of a binary file."""


class _Limit(NamedTuple):
    """A limit in seconds, and the time of ``time.monotonic`` at which it ends."""

    seconds: float
    end: float


_LIMIT: ContextVar[_Limit | None] = ContextVar("limit", default=None)
"""The limit of this thread: files are opened in many places, by the reader and by Pillow, and share one limit."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Limit the total time in seconds that this thread reads images inside the block; ``None`` for no limit."""
    token = _LIMIT.set(None if seconds is None else _Limit(seconds, time.monotonic() + seconds))
    try:
        yield
    finally:
        _LIMIT.reset(token)


class GuardedFile(io.BufferedIOBase):
    """A file for Pillow that can be stopped between the pieces in which it is read.

    Pillow's decoders run in C and do not check the time, but a hostile file that keeps them busy makes them read in
    small pieces. The head of such a file may also contain millions of empty parts, each of which Pillow keeps.

    Args:
        file: Seekable binary file; it stays open when this one is closed.
        name: Name for the errors.

    Attributes:
        image_name: Name of the image, for the errors.
        pieces: Number of pieces that may still be read; ``None`` for any number.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        super().__init__()
        self.image_name = name
        self.pieces: int | None = MOST_PIECES
        self._file, self._limit = file, _LIMIT.get()

    def read(self, size: int | None = -1, /) -> bytes:
        """Read a piece, see :class:`io.BufferedIOBase`.

        Raises:
            SlowImageError: The time is up.
            TruncatedImageError: There were too many pieces.
        """
        if self._limit is not None and time.monotonic() > self._limit.end:
            raise SlowImageError(
                f"{self.image_name} takes longer than {self._limit.seconds:g} seconds to decode; save a smaller version"
            )
        if self.pieces is not None:
            self.pieces -= 1
            if self.pieces < 0:
                raise TruncatedImageError(
                    f"{self.image_name} is damaged: it begins with more than {MOST_PIECES:,} parts"
                )
        return self._file.read(-1 if size is None else size)

    def readable(self) -> bool:
        """See :class:`io.IOBase`."""
        return True

    def seekable(self) -> bool:
        """See :class:`io.IOBase`."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See :class:`io.IOBase`."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """See :class:`io.IOBase`."""
        return self._file.tell()


def check_effort(image: PILImage.Image, file: GuardedFile) -> None:
    """Refuse, before decoding, a file that takes far longer than its size suggests.

    Args:
        image: Image opened from the file but not decoded yet.
        file: File of the image; from now on it may be read in any number of pieces, and small ones.

    Raises:
        SlowImageError: The file is a progressive JPEG with very many scans.
        UnreadableImageError: The file is a plain PPM.
    """
    file.pieces = None
    if isinstance(image, ImageFile.ImageFile):
        image.decodermaxblock = min(image.decodermaxblock, _BLOCK)
    place = file.tell()
    file.seek(0)
    if image.format == "PPM" and file.read(2) in _PLAIN:
        raise UnreadableImageError(
            f"{file.image_name} is a plain PPM, which stores numbers as text; save it as PNG or binary PPM"
        )
    if image.info.get("progressive"):
        file.seek(0)
        scans = file.read().count(b"\xff\xda")  # inside a scan these two bytes are never adjacent
        if scans > MOST_SCANS:
            raise SlowImageError(
                f"{file.image_name} is a progressive JPEG with {scans:,} scans, over the limit of {MOST_SCANS}"
            )
    file.seek(place)
