"""Pictures under an address that fsspec reads, like ``s3://bucket/faces``."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from cmaen.errors import CmaenError, ImageNotFoundError
from cmaen.images import MAX_PIXELS, printable
from cmaen.inference.sources.base import Pending
from cmaen.inference.sources.images import read_frame
from cmaen.listing import CLOSED, HIDDEN, LeftOut, is_hidden, is_rubbish, left_out_kind, list_images, name_tells
from cmaen.signatures import HEAD

_DEEPEST = 64
"""Folders in folders; storages that link them in circles end there."""

log = logging.getLogger(__name__)


class AddressSource:
    """The images under an address, by their names and in order; never the list of them all.

    Which files are images is told at :mod:`cmaen.listing`, by the first bytes only where a name tells nothing; what is
    left out is put on the log when all were given. Folders of this machine are walked as :class:`FolderSource` does.

    Args:
        root: The address of a folder.
        without: Printable addresses that are left out, like those a stopped run has done.
        max_pixels: Larger pictures are refused.

    Raises:
        CmaenError: It cannot be read, or holds no image.
    """

    moving = False
    live = False

    def __init__(self, root: str, *, without: Container[str] = (), max_pixels: int = MAX_PIXELS) -> None:
        self.without = without
        self._root = root
        self._max_pixels = max_pixels
        try:
            self._system, self._folder = fsspec.core.url_to_fs(root)
        except Exception as error:  # each storage has errors of its own
            raise CmaenError(f"{root} cannot be read: {printable(str(error))}") from error
        left_out = LeftOut()
        if next(self._addresses(left_out), None) is None:
            raise CmaenError(
                f"{root} holds no image (looked for .jpg, .png, .webp and others)"
                + (f"; left out: {left_out}" if left_out else "")
            )

    def __iter__(self) -> Iterator[Pending]:
        for index, address in enumerate(self.names()):
            yield partial(read_frame, index, printable(address), partial(fetch, address), max_pixels=self._max_pixels)

    def names(self) -> Iterator[str]:
        """The addresses themselves; at their end the log says what was left out."""
        left_out = LeftOut()
        yield from (address for address in self._addresses(left_out) if printable(address) not in self.without)
        left_out.say(self._root)

    def count(self) -> int | None:
        """Not known: to list them all can take longer than the first thousand answers."""
        return None

    def close(self) -> None:
        """Nothing is open."""

    def _addresses(self, left_out: LeftOut) -> Iterator[str]:
        if isinstance(self._system, LocalFileSystem):
            paths: Iterator[Any] = map(str, list_images(Path(self._folder), left_out))
        else:
            paths = self._below(self._folder, left_out, 0)
        return (self._system.unstrip_protocol(path) for path in paths)

    def _below(self, folder: str, left_out: LeftOut, depth: int) -> Iterator[str]:
        """The images of a folder and of those in it; one that cannot be listed costs the others nothing."""
        try:
            found = sorted((str(entry["name"]).rstrip("/"), entry["type"]) for entry in self._system.ls(folder, True))
        except Exception as error:  # each storage has errors of its own
            if not depth and isinstance(error, FileNotFoundError):
                raise CmaenError(f"{self._root} cannot be read: there is no such folder") from error
            if not depth:
                raise CmaenError(f"{self._root} cannot be read: {printable(str(error))}") from error
            left_out.add(CLOSED)
            log.warning("%s cannot be read: %s; it is left out", printable(folder), printable(str(error)))
            return
        for path, kind in found:
            name = path.rpartition("/")[2]
            if is_rubbish(name) or path == folder.rstrip("/"):  # some storages list a folder in itself
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
        """The first bytes of a file whose name tells nothing; none where that fails."""
        try:
            return b"" if name_tells(path) else bytes(self._system.cat_file(path, start=0, end=HEAD))
        except Exception:  # each storage has errors of its own
            return b""


def fetch(address: str) -> bytes:
    """The content of a file at an address.

    Raises:
        ImageNotFoundError: It cannot be read.
    """
    try:
        content: bytes = _system(address.split("://", 1)[0]).cat_file(address)
    except Exception as error:  # each storage has errors of its own
        raise ImageNotFoundError(f"{printable(address)} cannot be read: {printable(str(error))}") from error
    return content


@cache
def _system(protocol: str) -> Any:
    return fsspec.filesystem(protocol)
