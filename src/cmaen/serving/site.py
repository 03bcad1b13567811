"""The page: files read when the server starts. What a client names is looked up among them, never opened."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request, Response

FOLDER = Path(__file__).parent / "page"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""The files of a page; others in its folder are not served. The machine's own table would differ from host to host."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page."""

    content: bytes
    media_type: str
    etag: str

    def response(self, request: Request) -> Response:
        """The file, or only word that the browser has it already."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}  # kept, and asked for again each time
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers, media_type=self.media_type)


def read_page(folder: Path = FOLDER) -> Mapping[str, PageFile]:
    """The files of a folder and of those in it by their names, like ``index.html`` or ``fonts/text.woff2``."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in _TYPES and path.is_file()]
    contents = {path.relative_to(folder).as_posix(): (path.read_bytes(), _TYPES[path.suffix]) for path in paths}
    return {
        name: PageFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        for name, (content, media_type) in contents.items()
    }
