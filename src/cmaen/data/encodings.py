"""Texts of data sets in their usual encodings: UTF-8, UTF-16 and Windows-1252, told by looking at the bytes."""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from cmaen.errors import DataError

Opener = Callable[[], BinaryIO]
"""Opens a file for reading from its beginning."""

READ_ERRORS = (
    *(OSError, UnicodeError, csv.Error, EOFError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),  # a damaged or encrypted file in a zip
)
"""Errors in reading a text."""
LONGEST_LINE = 100_000
"""Maximum number of characters of a line; a file with a longer one is no list of faces."""
_HEAD = 4096
_BLOCK = 2**20


def open_file(path: Path) -> BinaryIO:
    """Open a file of bytes for reading.

    Raises:
        OSError: It cannot be read, or is not a file.
    """
    if not path.is_file():  # a pipe could block
        raise OSError(f"{path} is not a file")
    return path.open("rb")


def open_text(opener: Opener, *, whole: bool = True, errors: str = "replace") -> TextIO:
    """Open a text in its own encoding.

    Args:
        opener: Opens the file; it is called twice.
        whole: Whether to read the file to its end to tell its encoding, not its first bytes alone.
        errors: Treatment of invalid bytes while reading, see :func:`codecs.register_error`; by default they become
            U+FFFD, so that they cost one line.

    Raises:
        OSError: The file cannot be read.
    """
    with opener() as file:
        encoding = detect_encoding(file, whole=whole)
    return io.TextIOWrapper(opener(), encoding, errors=errors, newline="")


def detect_encoding(file: BinaryIO, *, whole: bool = True) -> str:
    """Return the encoding of a text: ``utf-8-sig``, ``utf-16``, ``utf-16-le``, ``utf-16-be`` or ``cp1252``.

    A text that is cut within a character is not taken for another encoding.

    Args:
        file: The text, at its beginning.
        whole: See :func:`open_text`.
    """
    block = file.read(_HEAD)
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    half = len(block) // 2
    first, second = (block[start::2].count(0) for start in (0, 1))  # the upper bytes of Western letters are 0
    if half and min(first, second) <= half // 20 and max(first, second) > half // 2:
        return "utf-16-le" if second > first else "utf-16-be"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block:
            decoder.decode(block)
            block = file.read(_BLOCK) if whole else b""
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def read_lines(opener: Opener, where: str) -> Iterator[str]:
    """Yield the lines of a text with their ends.

    Args:
        opener: Opens the file.
        where: Name of the file, for errors.

    Raises:
        DataError: The file cannot be read, or has a line without an end.
    """
    try:
        with open_text(opener) as file:
            yield from bound_lines(file)
    except READ_ERRORS as error:
        raise DataError(f"{where} cannot be read: {error}") from error


def bound_lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of a text; a line of any length takes little memory.

    Raises:
        csv.Error: A line has at least :data:`LONGEST_LINE` characters.
    """
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise csv.Error(f"it has a line of at least {LONGEST_LINE:,} characters")
        yield line
