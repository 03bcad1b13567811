"""Still pictures: some in memory or by their paths, or all of a folder."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from functools import partial
from pathlib import Path

from cmaen.errors import CmaenError, UnreadableImageError, describe, guard
from cmaen.images import MAX_PIXELS, Channels, ImageInput, name_of, printable, read_image
from cmaen.inference.sources.base import Pending
from cmaen.listing import VIDEO, LeftOut, list_images
from cmaen.types import Frame

_LOOKED_FOR = ".jpg, .png, .webp and others"


class ListSource:
    """Pictures that the caller has: paths, bytes, PIL images or arrays, see :func:`cmaen.images.read_image`.

    Args:
        images: The pictures.
        channels: The order of those of arrays.
        max_pixels: Larger pictures are refused.
    """

    moving = False
    live = False

    def __init__(
        self, images: Iterable[ImageInput], *, channels: Channels = "rgb", max_pixels: int = MAX_PIXELS
    ) -> None:
        self._images = images
        self._max_pixels = max_pixels
        self._channels = channels

    def __iter__(self) -> Iterator[Pending]:
        for index, image in enumerate(self._images):
            yield partial(
                read_frame,
                index,
                _name_of(image),
                partial(_same, image),
                max_pixels=self._max_pixels,
                channels=self._channels,
            )

    def count(self) -> int | None:
        """As many as there are in a list; not known of an iterator."""
        return len(self._images) if isinstance(self._images, list | tuple) else None

    def close(self) -> None:
        """Nothing is open."""


class FolderSource:
    """The images of a folder and of those in it, by their names and in order; never the list of them all.

    Which files are images is told at :mod:`cmaen.listing`; what is left out is put on the log when all were given.

    Args:
        root: The folder.
        without: Printable paths that are left out, like those a stopped run has done.
        max_pixels: Larger pictures are refused.

    Raises:
        CmaenError: The folder cannot be read, or holds no image.
    """

    moving = False
    live = False

    def __init__(self, root: str | Path, *, without: Container[str] = (), max_pixels: int = MAX_PIXELS) -> None:
        self.root = root = Path(root)
        self._max_pixels = max_pixels
        self.without = without
        left_out = LeftOut()
        if next(list_images(root, left_out), None) is None:
            raise CmaenError(f"{root} holds no image (looked for {_LOOKED_FOR})" + _describe(left_out))

    def __iter__(self) -> Iterator[Pending]:
        for index, path in enumerate(self.names()):
            yield partial(read_frame, index, printable(path), partial(_same, path), max_pixels=self._max_pixels)

    def names(self) -> Iterator[str]:
        """The paths themselves; at their end the log says what was left out."""
        left_out = LeftOut()
        yield from self._names(left_out)
        left_out.say(self.root)

    def count(self) -> int | None:
        """As many as a walk through the folder finds."""
        return sum(1 for _ in self._names(LeftOut()))

    def _names(self, left_out: LeftOut) -> Iterator[str]:
        return (str(path) for path in list_images(self.root, left_out) if printable(path) not in self.without)

    def close(self) -> None:
        """Nothing is open."""


def read_frame(
    index: int,
    name: str,
    fetch: Callable[[], ImageInput],
    *,
    max_pixels: int = MAX_PIXELS,
    channels: Channels = "rgb",
    max_seconds: float | None = None,
) -> Frame:
    """A frame with its pixels, or with what is wrong with them."""
    try:
        with guard(UnreadableImageError, "the image cannot be fetched"):
            source = fetch()
        pixels = read_image(source, max_pixels=max_pixels, channels=channels, max_seconds=max_seconds)
        return Frame(index, name, pixels)
    except CmaenError as error:
        return Frame(index, name, error=describe(error))


def _describe(left_out: LeftOut) -> str:
    """What a folder without a picture holds instead, and what to do with its videos; empty for nothing."""
    if not left_out:
        return ""
    advice = "; give its videos to cmaen predict, one or several" if VIDEO in left_out.counts else ""
    return f"; left out: {left_out}{advice}"


def _name_of(image: ImageInput) -> str:
    """What a picture is called; nothing where its path cannot even say that, which reading it then says."""
    try:
        return name_of(image)
    except Exception:  # of an object of the caller's
        return ""


def _same(image: ImageInput) -> ImageInput:
    return image
