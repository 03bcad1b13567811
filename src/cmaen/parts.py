"""Into how many parts a picture is cut, by its head: each takes memory before anything is decoded."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from typing import IO

from cmaen.errors import ImageTooLargeError

MOST_NUMBERS = 200_000
"""That one entry of a TIFF holds, like the places of its strips or tiles; a palette of 16 bits has 196,608."""
MOST_TILES = 10_000
"""Of a JPEG 2000; each takes 9 kB, also where it is not there."""
_MOST_ENTRIES = 65_535
_BYTES = (1, 2, 6, 7)
"""Types of TIFF whose values are kept as bytes."""
_DAMAGED = (struct.error, IndexError, OverflowError, ValueError, OSError)
"""What comes of a head that is cut short, and of places that no file has."""
_SIGNATURE_JP2 = b"\x00\x00\x00\x0cjP  "
_START_J2K = b"\xff\x4f\xff\x51"


def check_parts(file: IO[bytes], name: str) -> None:
    """Refuse, before it is opened, what is cut into so many parts that they take more memory than its pixels.

    Args:
        file: Read from its beginning; of other formats only the first bytes are.
        name: For the error.

    Raises:
        ImageTooLargeError: It has too many.
    """
    with suppress(*_DAMAGED):  # whoever decodes it will say so
        file.seek(0)
        head = file.read(16)
        if head[:2] in (b"II", b"MM"):
            _check(_numbers(file, head), MOST_NUMBERS, name)
        elif head.startswith((_START_J2K, _SIGNATURE_JP2)):
            _check(_tiles(file, head), MOST_TILES, name)


def _check(parts: int, most: int, name: str) -> None:
    if parts > most:
        raise ImageTooLargeError(f"{name} is cut into {parts:,} parts, over the limit of {most:,}; save it in fewer")


def _numbers(file: IO[bytes], head: bytes) -> int:
    """The most numbers of an entry in the first directory of a TIFF."""
    order, big = "<" if head[:1] == b"I" else ">", head[2] == 43
    (place,) = struct.unpack_from(f"{order}{'Q' if big else 'L'}", head, 8 if big else 4)
    file.seek(place)
    (count,) = struct.unpack(*((f"{order}Q", file.read(8)) if big else (f"{order}H", file.read(2))))
    entry = struct.Struct(f"{order}HHQ8x" if big else f"{order}HHL4x")
    entries = file.read(entry.size * min(count, _MOST_ENTRIES))
    whole = entries[: len(entries) // entry.size * entry.size]
    numbers = (int(number) for _, kind, number in entry.iter_unpack(whole) if kind not in _BYTES)
    return max(numbers, default=0)


def _tiles(file: IO[bytes], head: bytes) -> int:
    """The tiles of a JPEG 2000, by its image and tile size."""
    if not head.startswith(_START_J2K):
        _find_codestream(file)
        if file.read(4) != _START_J2K:
            return 0
    else:
        file.seek(4)
    sizes: tuple[int, ...] = struct.unpack(">4x8L", file.read(36))
    right, bottom, _, _, width, height, left, top = sizes
    if not width or not height:
        return 0
    across, down = math.ceil((right - left) / width), math.ceil((bottom - top) / height)
    return max(0, across) * max(0, down)


def _find_codestream(file: IO[bytes]) -> None:
    """Go to where the codestream of a JP2 begins, behind its boxes."""
    place, kind = 0, b""
    while kind != b"jp2c":
        file.seek(place)
        size, kind = struct.unpack(">L4s", file.read(8))
        header = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            header = 16
        if kind == b"jp2c":
            file.seek(place + header)
        elif size < header:  # 0: to the end of the file
            raise struct.error
        place += size
