"""Paths as text that any JSON file and any terminal can represent."""

from __future__ import annotations

import os
import re
from contextlib import suppress

_LIKE_ESCAPED = re.compile(r"\\x[89a-f][0-9a-f]")


def printable(path: str | os.PathLike[str]) -> str:
    r"""Convert a path to text that any JSON file can represent; bytes that are not UTF-8 become ``\xe9``.

    Different paths always have different texts. If a part of a path contains such bytes, or looks as if it did, its
    backslashes are doubled; on Windows, where they separate folders and every name is text, they stay.
    """
    try:
        content = os.fsencode(path)
    except UnicodeEncodeError:  # a lone surrogate, which no file system has
        return os.fspath(path).encode("utf-8", "backslashreplace").decode()
    if os.sep == "\\" or (b"\\" not in content and content.isascii()):
        return content.decode("utf-8", errors="backslashreplace")
    return "/".join(map(_printable_part, content.split(b"/")))


def _printable_part(part: bytes) -> str:
    with suppress(UnicodeDecodeError):
        text = part.decode()
        if not _LIKE_ESCAPED.search(text):
            return text
    return part.replace(b"\\", b"\\\\").decode("utf-8", errors="backslashreplace")
