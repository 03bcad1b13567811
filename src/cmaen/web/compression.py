"""Compressed copies of files, which web servers can send in place of the files themselves."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from importlib import import_module
from typing import Any

try:
    brotli: Any = import_module("brotli")
except ImportError:  # optional package
    brotli = None

_LARGE = 1 << 20
"""Size in bytes from which Brotli's best quality takes minutes and saves little more."""

_WORTH = 0.9
"""Share of a file's size below which its compressed copy is worth keeping; that of a picture rarely is."""

SUFFIXES = (".gz", ".br")
"""Suffixes of the names of all possible copies."""


def compress(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Compress a content with gzip, and with Brotli if it is installed; the result is reproducible.

    Args:
        content: Bytes to compress.

    Yields:
        The suffix of a copy's name, and the copy, if it is more than a tenth smaller.
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
