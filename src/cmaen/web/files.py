"""The files of the page, read once. A name from a client is looked up among them and never opened.

Starlette's static files are not used: they take the type of a file from tables of the machine (Windows may have
``text/plain`` for JavaScript, which browsers then refuse), identify a version of a file by its time instead of its
content, and mix the old page with the new one while the package is upgraded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Media types of the page's files, by suffix; other files in its folder are not served."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page.

    Attributes:
        content: Bytes of the file.
        media_type: Media type, as in the header ``Content-Type``.
        etag: Identifier of the content, as in the header ``ETag``.
    """

    content: bytes
    media_type: str
    etag: str


def read_page(folder: Path = PAGE) -> Mapping[str, PageFile]:
    """Read the files of a page.

    Args:
        folder: Folder of the page.

    Returns:
        Files by their paths in the folder, with ``/`` between the parts, such as ``fonts/small.svg``.
    """
    return {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    return PageFile(content, _TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
