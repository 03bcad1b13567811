"""Compressed copies of files, for web servers that give them in place of the files themselves."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from importlib import import_module
from typing import Any

try:
    brotli: Any = import_module("brotli")
except ImportError:  # an optional package
    brotli = None

_LARGE = 1 << 20
"""Bytes from which Brotli's best takes minutes and saves little more."""

_WORTH = 0.9
"""A copy that is no smaller than that share of its file is left out, as of pictures."""

SUFFIXES = (".gz", ".br")
"""Of all copies that there may be."""


def compress(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The compressed copies of a content, the same for the same content: gzip's, and Brotli's where it is installed.

    Args:
        content: Any bytes.

    Yields:
        The suffix of a copy's name, and the copy, where it is at least a tenth smaller.
    """
    stream = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, stream, mtime=0) as file:  # without name and time
        file.write(content)
    copies = {".gz": stream.getvalue()}
    if brotli is not None:
        copies[".br"] = brotli.compress(content, quality=11 if len(content) < _LARGE else 9, lgwin=24)
    for suffix, copy in copies.items():
        if len(copy) < _WORTH * len(content):
            yield suffix, copy
