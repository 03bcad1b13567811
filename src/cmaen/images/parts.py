"""Limiting the number of parts that a picture is cut into, by its head: each takes memory before decoding."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from typing import IO

from cmaen.errors import ImageTooLargeError

MOST_NUMBERS = 200_000
"""Maximum number of values in a TIFF entry, such as the places of strips or tiles; a 16-bit palette has 196,608."""
MOST_TILES = 10_000
"""Maximum number of tiles of a JPEG 2000; each takes 9 kB, even if it is missing."""
_MOST_ENTRIES = 65_535
_BYTES = (1, 2, 6, 7)
"""TIFF types whose values are stored as bytes."""
_DAMAGED = (struct.error, IndexError, OverflowError, ValueError, OSError)
"""Errors caused by a truncated head, and by places that no file has."""
_SIGNATURE_JP2 = b"\x00\x00\x00\x0cjP  "
_START_J2K = b"\xff\x4f\xff\x51"


def check_parts(file: IO[bytes], name: str) -> None:
    """Refuse, before it is opened, a file cut into so many parts that they take more memory than its pixels.

    Args:
        file: File, read from its beginning; of other formats only the first bytes are read.
        name: Name for the error.

    Raises:
        ImageTooLargeError: The file has too many parts.
    """
    with suppress(*_DAMAGED):  # the decoder will report it
        file.seek(0)
        head = file.read(16)
        if head[:2] in (b"II", b"MM"):
            _check(_numbers(file, head), MOST_NUMBERS, name)
        elif head.startswith((_START_J2K, _SIGNATURE_JP2)):
            _check(_tiles(file, head), MOST_TILES, name)


def _check(parts: int, most: int, name: str) -> None:
    if parts > most:
        raise ImageTooLargeError(f"{name} is cut into {parts:,} parts, over the limit of {most:,}; save it with fewer")


def _numbers(file: IO[bytes], head: bytes) -> int:
    """Find the largest count of values of an entry in the first directory of a TIFF."""
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
    """Count the tiles of a JPEG 2000, from its image and tile size."""
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
    """Seek to the beginning of the codestream of a JP2, behind its boxes."""
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
