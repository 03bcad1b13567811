"""Images under an address that fsspec reads, such as ``s3://bucket/faces``."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from cmaen.errors import CmaenError, ImageNotFoundError
from cmaen.images.reader import MAX_PIXELS, printable
from cmaen.images.signatures import HEAD
from cmaen.inference.sources.base import LOOKED_FOR, Pending
from cmaen.inference.sources.images import read_frame
from cmaen.listing import CLOSED, HIDDEN, LeftOut, is_hidden, is_rubbish, left_out_kind, list_images, name_tells

_DEEPEST = 64
"""Maximum depth of nested folders; it ends the walk in storages with circular links."""

log = logging.getLogger(__name__)


class AddressSource:
    """The images under an address, sorted by name; the whole list is never in memory.

    :mod:`cmaen.listing` decides which files are images; their first bytes are only read if the name is inconclusive.
    Files left out are logged at the end. Local folders are walked as by :class:`FolderSource`.

    Args:
        root: Address of a folder.
        without: Printable addresses to leave out, such as those that an interrupted run has finished.
        max_pixels: Number of pixels above which an image is refused.

    Raises:
        CmaenError: The address cannot be read, or contains no images.
    """

    moving = False
    live = False

    def __init__(self, root: str, *, without: Container[str] = (), max_pixels: int = MAX_PIXELS) -> None:
        self.without = without
        self._root = root
        self._max_pixels = max_pixels
        try:
            self._system, self._folder = fsspec.core.url_to_fs(root)
        except Exception as error:  # each storage has its own errors
            raise CmaenError(f"{root} cannot be read: {printable(str(error))}") from error
        left_out = LeftOut()
        if next(self._addresses(left_out), None) is None:
            raise CmaenError(
                f"{root} contains no images (looked for {LOOKED_FOR})" + (f"; left out: {left_out}" if left_out else "")
            )

    def __iter__(self) -> Iterator[Pending]:
        for index, address in enumerate(self.names()):
            yield partial(read_frame, index, printable(address), partial(fetch, address), max_pixels=self._max_pixels)

    def names(self) -> Iterator[str]:
        """Yield the addresses; at the end, the files left out are logged."""
        left_out = LeftOut()
        yield from (address for address in self._addresses(left_out) if printable(address) not in self.without)
        left_out.say(self._root)

    def count(self) -> int | None:
        """Return ``None``: listing them all can take longer than the first thousand answers."""
        return None

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _addresses(self, left_out: LeftOut) -> Iterator[str]:
        if isinstance(self._system, LocalFileSystem):
            paths: Iterator[Any] = map(str, list_images(Path(self._folder), left_out))
        else:
            paths = self._below(self._folder, left_out, 0)
        return (self._system.unstrip_protocol(path) for path in paths)

    def _below(self, folder: str, left_out: LeftOut, depth: int) -> Iterator[str]:
        """Yield the images of a folder and its subfolders; a subfolder that cannot be listed is left out."""
        try:
            found = sorted((str(entry["name"]).rstrip("/"), entry["type"]) for entry in self._system.ls(folder, True))
        except Exception as error:  # each storage has its own errors
            if not depth and isinstance(error, FileNotFoundError):
                raise CmaenError(f"{self._root} cannot be read: there is no such folder") from error
            if not depth:
                raise CmaenError(f"{self._root} cannot be read: {printable(str(error))}") from error
            left_out.add(CLOSED)
            log.warning("%s cannot be read: %s; it is left out", printable(folder), printable(str(error)))
            return
        for path, kind in found:
            name = path.rpartition("/")[2]
            if is_rubbish(name) or path == folder.rstrip("/"):  # some storages list a folder as its own entry
                continue
            if is_hidden(name):
                left_out.add(HIDDEN)
            elif kind == "directory":
                if depth < _DEEPEST:
                    yield from self._below(path, left_out, depth + 1)
                else:
                    left_out.add(CLOSED)
            elif (what := left_out_kind(name, partial(self._head, path))) is None:
                yield path
            else:
                left_out.add(what, name)

    def _head(self, path: str) -> bytes:
        """Read the first bytes of a file with an inconclusive name; nothing if that fails."""
        try:
            return b"" if name_tells(path) else bytes(self._system.cat_file(path, start=0, end=HEAD))
        except Exception:  # each storage has its own errors
            return b""


def fetch(address: str) -> bytes:
    """Fetch the content of a file at an address.

    Raises:
        ImageNotFoundError: The file cannot be read.
    """
    try:
        content: bytes = _system(address.split("://", 1)[0]).cat_file(address)
    except Exception as error:  # each storage has its own errors
        raise ImageNotFoundError(f"{printable(address)} cannot be read: {printable(str(error))}") from error
    return content


@cache
def _system(protocol: str) -> Any:
    return fsspec.filesystem(protocol)
