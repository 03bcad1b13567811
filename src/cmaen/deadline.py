"""Limits for what cannot be interrupted: a file that may not be read for too long, nor in too many pieces."""

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
"""Pieces in which the head of an image is read: a photograph with all that cameras write there has some hundreds."""
MOST_SCANS = 500
"""Of a progressive JPEG; cameras and programs make a dozen. Each takes time for the whole picture, and a few bytes."""
_BLOCK = 4096
"""Bytes that a decoder is given at a time: it can be stopped after each."""
_PLAIN = (b"P1", b"P2", b"P3")
"""Numbers as text, which Pillow reads in minutes where a binary file takes a moment."""


class _Limit(NamedTuple):
    """So many seconds, and when they are over on the clock ``time.monotonic``."""

    seconds: float
    end: float


_LIMIT: ContextVar[_Limit | None] = ContextVar("limit", default=None)
"""Of the thread: files are opened in many places, by the reader and by Pillow, and are limited together."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """A ``with`` block in which this thread reads images for so many seconds in all; ``None`` for any time."""
    token = _LIMIT.set(None if seconds is None else _Limit(seconds, time.monotonic() + seconds))
    try:
        yield
    finally:
        _LIMIT.reset(token)


class GuardedFile(io.BufferedIOBase):
    """A file for Pillow, which reads it piece by piece; each piece is an occasion to stop.

    Pillow's decoders run in C and hold no clock, but those that a hostile file keeps busy ask for more of it in small
    pieces. The head of such a file may also hold millions of empty parts, of which Pillow keeps each.

    Args:
        file: Binary, and can be sought in; it stays open when this is closed.
        name: For the errors.

    Attributes:
        image_name: Of the image, for the errors.
        pieces: That may still be read; ``None`` for any number.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        super().__init__()
        self.image_name = name
        self.pieces: int | None = MOST_PIECES
        self._file, self._limit = file, _LIMIT.get()

    def read(self, size: int | None = -1, /) -> bytes:
        """See :class:`io.BufferedIOBase`.

        Raises:
            SlowImageError: The time is up.
            TruncatedImageError: There were too many pieces.
        """
        if self._limit is not None and time.monotonic() > self._limit.end:
            raise SlowImageError(
                f"{self.image_name} takes longer than {self._limit.seconds:g} seconds to decode; save it smaller"
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
    """Refuse, before it is decoded, what takes far longer than its size tells.

    Args:
        image: Opened from the file, and not decoded yet.
        file: From now on read in any number of pieces, and small ones.

    Raises:
        SlowImageError: It is a progressive JPEG of very many scans.
        UnreadableImageError: It is a plain PPM.
    """
    file.pieces = None
    if isinstance(image, ImageFile.ImageFile):
        image.decodermaxblock = min(image.decodermaxblock, _BLOCK)
    place = file.tell()
    file.seek(0)
    if image.format == "PPM" and file.read(2) in _PLAIN:
        raise UnreadableImageError(
            f"{file.image_name} is a plain PPM, which holds numbers as text; save it as PNG or binary PPM"
        )
    if image.info.get("progressive"):
        file.seek(0)
        scans = file.read().count(b"\xff\xda")  # inside a scan these two bytes never stand together
        if scans > MOST_SCANS:
            raise SlowImageError(
                f"{file.image_name} is a progressive JPEG of {scans:,} scans, over the limit of {MOST_SCANS}"
            )
    file.seek(place)
