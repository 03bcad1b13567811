"""Limits for code that cannot be interrupted: a file that may not be read for too long, nor in too many pieces."""

from __future__ import annotations

import io
import os
import time
from typing import IO

from cmaen.errors import SlowImageError, TruncatedImageError

MOST_PIECES = 100_000
"""Pieces in which the head of an image is read: a photograph with all that cameras write there has some hundreds."""


class GuardedFile(io.BufferedIOBase):
    """A file for Pillow, which reads it piece by piece; each piece is an occasion to stop.

    Pillow's decoders run in C and hold no clock, but those that a hostile file keeps busy ask for more of it in small
    pieces. The headers of such a file may also hold millions of empty parts, of which Pillow keeps each.

    Args:
        file: Binary, and can be sought in; it stays open when this is closed.
        name: For the errors.
        seconds: After which nothing more is read; ``None`` for no limit.

    Attributes:
        pieces: That may still be read; ``None`` for any number.
    """

    def __init__(self, file: IO[bytes], name: str, *, seconds: float | None = None) -> None:
        super().__init__()
        self._file, self._name, self._seconds = file, name, seconds
        self._end = None if seconds is None else time.monotonic() + seconds
        self.pieces: int | None = MOST_PIECES

    def read(self, size: int | None = -1, /) -> bytes:
        """See :class:`io.BufferedIOBase`.

        Raises:
            SlowImageError: The time is up.
            TruncatedImageError: There were too many pieces.
        """
        if self._end is not None and time.monotonic() > self._end:
            raise SlowImageError(
                f"{self._name} takes longer than {self._seconds:g} seconds to decode; save it anew, or smaller"
            )
        if self.pieces is not None:
            self.pieces -= 1
            if self.pieces < 0:
                raise TruncatedImageError(f"{self._name} is damaged: it begins with more than {MOST_PIECES:,} parts")
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
