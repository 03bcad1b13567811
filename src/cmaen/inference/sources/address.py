"""Pictures under an address that fsspec reads, like ``s3://bucket/faces``."""

from __future__ import annotations

from collections.abc import Container, Iterator
from functools import cache, partial
from typing import Any

import fsspec

from cmaen.errors import CmaenError, ImageNotFoundError
from cmaen.images import MAX_PIXELS, is_image_name, printable
from cmaen.inference.sources import Pending
from cmaen.inference.sources.images import read_frame


class AddressSource:
    """The images under an address, by their names and in order.

    Args:
        root: The address of a folder.
        without: Printable addresses that are left out, like those a stopped run has done.
        max_pixels: Larger pictures are refused.

    Raises:
        CmaenError: It cannot be read, or holds no file whose name is an image's.
    """

    moving = False
    live = False

    def __init__(self, root: str, *, without: Container[str] = (), max_pixels: int = MAX_PIXELS) -> None:
        try:
            system, folder = fsspec.core.url_to_fs(root)
            found = sorted(system.find(folder))
        except Exception as error:  # each storage has errors of its own
            raise CmaenError(f"{root} cannot be read: {error}") from error
        self.without = without
        self._max_pixels = max_pixels
        self._found = [system.unstrip_protocol(path) for path in found if is_image_name(path)]
        if not self._found:
            raise CmaenError(f"{root} holds no file whose name is an image's")

    def __iter__(self) -> Iterator[Pending]:
        for index, address in enumerate(self.names()):
            yield partial(read_frame, index, printable(address), partial(fetch, address), max_pixels=self._max_pixels)

    def names(self) -> Iterator[str]:
        """The addresses themselves."""
        return (address for address in self._found if printable(address) not in self.without)

    def count(self) -> int | None:
        """As many as were listed."""
        return sum(1 for _ in self.names())

    def close(self) -> None:
        """Nothing is open."""


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
