"""Where frames come from. A new source is one new file, one line in :data:`SOURCES` and one test."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Protocol

from cmaen.errors import MissingExtraError
from cmaen.inference.sources.excerpt import WHOLE, Excerpt
from cmaen.types import Frame

Pending = Callable[[], Frame]
"""A frame that is still to be decoded, by whichever thread calls it; what is wrong with it comes as its ``error``."""


class Source(Protocol):
    """Gives frames, in order.

    Attributes:
        moving: Whether the frames follow each other in time, so that faces have identities.
        live: Whether they come at their own pace, so that an old one is worth nothing.
    """

    moving: bool
    live: bool

    def __iter__(self) -> Iterator[Pending]: ...

    def count(self) -> int | None:
        """How many frames there are, if that is known or can be found out; it may take a look at every name."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


def _image(where: str | Path, _: Container[str]) -> Source:
    from cmaen.inference.sources.images import ImageSource

    return ImageSource([where])


def _folder(where: str | Path, without: Container[str]) -> Source:
    from cmaen.inference.sources.images import FolderSource

    return FolderSource(Path(where), without=without)


def _address(where: str | Path, without: Container[str]) -> Source:
    try:
        from cmaen.inference.sources.address import AddressSource
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading from an address", "scale") from error
    return AddressSource(str(where), without=without)


def _video(where: str | Path, _: Container[str], excerpt: Excerpt = WHOLE) -> Source:
    try:
        from cmaen.inference.sources.video import VideoSource
    except ModuleNotFoundError as error:
        raise MissingExtraError("video", "video") from error
    return VideoSource(where, excerpt)


def _camera(where: str | Path, _: Container[str], excerpt: Excerpt = WHOLE) -> Source:
    from cmaen.inference.sources.camera import CameraSource

    name = str(where)
    return CameraSource(int(name) if name.isdecimal() else name, excerpt)


SOURCES: dict[str, Callable[..., Source]] = {
    "image": _image,
    "folder": _folder,
    "address": _address,
    "video": _video,
    "camera": _camera,
}


def open_source(
    kind: str, where: str | Path, *, without: Container[str] = (), excerpt: Excerpt | None = None
) -> Source:
    """A source by its kind.

    Args:
        kind: One of :data:`SOURCES`.
        where: A path, an address, or the index of a camera.
        without: Names of images of a folder or an address that are left out.
        excerpt: Of a video or a camera: the frames to look at; ``None`` for all.

    Raises:
        CmaenError: It cannot be opened.
        MissingExtraError: What it needs is not installed.
    """
    return SOURCES[kind](where, without, **({} if excerpt is None else {"excerpt": excerpt}))


__all__ = ["SOURCES", "Excerpt", "Pending", "Source", "open_source"]
