"""Still pictures: some in memory or by their paths, or all of a folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Container, Iterable, Iterator
from functools import partial
from pathlib import Path

from cmaen.errors import CmaenError, ImageError
from cmaen.images import MAX_PIXELS, Channels, is_image_name, printable, read_image
from cmaen.images import ImageSource as Picture
from cmaen.inference.sources import Pending
from cmaen.types import Frame

log = logging.getLogger(__name__)


class ImageSource:
    """Pictures that the caller has: paths, bytes, PIL images or arrays, see :func:`cmaen.images.read_image`.

    Args:
        images: The pictures.
        channels: The order of those of arrays.
    """

    moving = False
    live = False

    def __init__(self, images: Iterable[Picture], *, channels: Channels = "rgb") -> None:
        self._images = images
        self._channels = channels

    def __iter__(self) -> Iterator[Pending]:
        for index, image in enumerate(self._images):
            name = printable(image) if isinstance(image, str | os.PathLike) else ""
            yield partial(read_frame, index, name, partial(_same, image), channels=self._channels)

    def count(self) -> int | None:
        """As many as there are in a list; not known of an iterator."""
        return len(self._images) if isinstance(self._images, list | tuple) else None

    def close(self) -> None:
        """Nothing is open."""


class FolderSource:
    """The images of a folder and of those in it, by their names and in order; never the list of them all.

    Args:
        root: The folder.
        without: Printable paths that are left out, like those a stopped run has done.

    Raises:
        CmaenError: The folder cannot be read, or holds no file whose name is an image's.
    """

    moving = False
    live = False

    def __init__(self, root: Path, *, without: Container[str] = ()) -> None:
        self.root = root
        self.without = without
        if next(images_in(root), None) is None:
            raise CmaenError(f"{root} holds no file whose name is an image's")

    def __iter__(self) -> Iterator[Pending]:
        for index, path in enumerate(self.names()):
            yield partial(read_frame, index, printable(path), partial(_same, path))

    def names(self) -> Iterator[str]:
        """The paths themselves."""
        return (str(path) for path in images_in(self.root) if printable(path) not in self.without)

    def count(self) -> int | None:
        """As many as a walk through the folder finds."""
        return sum(1 for _ in self.names())

    def close(self) -> None:
        """Nothing is open."""


def read_frame(
    index: int,
    name: str,
    fetch: Callable[[], Picture],
    *,
    max_pixels: int = MAX_PIXELS,
    channels: Channels = "rgb",
    max_seconds: float | None = None,
) -> Frame:
    """A frame with its pixels, or with what is wrong with them."""
    try:
        pixels = read_image(fetch(), max_pixels=max_pixels, channels=channels, max_seconds=max_seconds)
        return Frame(index, name, pixels)
    except ImageError as error:
        return Frame(index, name, error=f"{type(error).__name__}: {error}")


def images_in(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it whose names are images', in order.

    Raises:
        CmaenError: The folder cannot be read; one in it that cannot be is said and left out.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except NotADirectoryError as error:
        raise CmaenError(f"{folder} is not a folder; for one image use --image") from error
    except OSError as error:
        raise CmaenError(f"{folder} cannot be read: {error.strerror}") from error
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            try:
                yield from images_in(path)
            except CmaenError as error:
                log.warning("%s; it is left out", error)
        elif is_image_name(path) and not entry.is_dir():
            yield path


def _same(image: Picture) -> Picture:
    return image
