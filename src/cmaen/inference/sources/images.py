"""Still images: a list, in memory or by their paths, or a whole folder."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from functools import partial
from pathlib import Path

from cmaen.errors import CmaenError, UnreadableImageError, describe, guard
from cmaen.images.reader import MAX_PIXELS, Channels, ImageInput, name_of, printable, read_image
from cmaen.inference.sources.base import LOOKED_FOR, Pending
from cmaen.listing import VIDEO, LeftOut, list_images
from cmaen.types import Frame


class ListSource:
    """Images of the caller: paths, bytes, PIL images or arrays, see :func:`cmaen.images.reader.read_image`.

    Args:
        images: Images in any of these forms.
        channels: Channel order of arrays.
        max_pixels: Number of pixels above which an image is refused.
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
        """Return the length of a list; ``None`` for an iterator."""
        return len(self._images) if isinstance(self._images, list | tuple) else None

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class FolderSource:
    """The images of a folder and its subfolders, sorted by name; the whole list is never in memory.

    :mod:`cmaen.listing` decides which files are images; files left out are logged at the end.

    Args:
        root: Path of the folder.
        without: Printable paths to leave out, such as those that an interrupted run has finished.
        max_pixels: Number of pixels above which an image is refused.
        mind_videos: Whether videos are left out; otherwise, they are not mentioned, because they are processed too.

    Raises:
        CmaenError: The folder cannot be read, or contains no images.
    """

    moving = False
    live = False

    def __init__(
        self,
        root: str | Path,
        *,
        without: Container[str] = (),
        max_pixels: int = MAX_PIXELS,
        mind_videos: bool = True,
    ) -> None:
        self.root: Path = Path(root)
        self._max_pixels = max_pixels
        self.without = without
        self._mind_videos = mind_videos
        left_out = LeftOut()
        if next(list_images(self.root, left_out), None) is None:
            raise CmaenError(f"{root} contains no images (looked for {LOOKED_FOR})" + _describe(left_out))

    def __iter__(self) -> Iterator[Pending]:
        for index, path in enumerate(self.names()):
            yield partial(read_frame, index, printable(path), partial(_same, path), max_pixels=self._max_pixels)

    def names(self) -> Iterator[str]:
        """Yield the paths; at the end, the files left out are logged."""
        left_out = LeftOut(videos=None if self._mind_videos else [])
        yield from self._names(left_out)
        left_out.say(self.root)

    def count(self) -> int | None:
        """Walk through the folder and count its images."""
        return sum(1 for _ in self._names(LeftOut()))

    def _names(self, left_out: LeftOut) -> Iterator[str]:
        return (str(path) for path in list_images(self.root, left_out) if printable(path) not in self.without)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


def read_frame(
    index: int,
    name: str,
    fetch: Callable[[], ImageInput],
    *,
    max_pixels: int = MAX_PIXELS,
    channels: Channels = "rgb",
    max_seconds: float | None = None,
) -> Frame:
    """Read an image into a frame; a problem with it is reported in the frame's ``error``."""
    try:
        with guard(UnreadableImageError, "the image cannot be fetched"):
            source = fetch()
        pixels = read_image(source, max_pixels=max_pixels, channels=channels, max_seconds=max_seconds)
        return Frame(index, name, pixels)
    except CmaenError as error:
        return Frame(index, name, error=describe(error))


def _describe(left_out: LeftOut) -> str:
    """Describe what a folder without images contains instead, and what to do with its videos; empty for nothing."""
    if not left_out:
        return ""
    advice = "; give its videos to cmaen predict, one or several" if VIDEO in left_out.counts else ""
    return f"; left out: {left_out}{advice}"


def _name_of(image: ImageInput) -> str:
    """Name an image; empty if its path object raises an error, which reading the image then reports."""
    try:
        return name_of(image)
    except Exception:  # from an object of the caller
        return ""


def _same(image: ImageInput) -> ImageInput:
    return image
