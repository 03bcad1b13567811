"""The protocol of sources, and the table of all kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from cmaen.inference.registry import Entry
from cmaen.types import Frame

Pending = Callable[[], Frame]
"""A frame to be decoded by the thread that calls it; a problem is reported in the frame's ``error``."""


class Source(Protocol):
    """Yields frames in order.

    Attributes:
        moving: Whether the frames follow each other in time, so that faces have identities.
        live: Whether they come at their own pace, so that old frames are worthless.

    A source of moving frames that waits for an answer before it goes on has a third attribute, ``prompt``, that is
    true: no answer to it waits for later frames.
    """

    moving: bool
    live: bool

    def __iter__(self) -> Iterator[Pending]: ...

    def count(self) -> int | None:
        """Return the number of frames if it is known or can be found out; this may read every name."""
        ...

    def close(self) -> None:
        """Close everything that was opened."""
        ...


LOOKED_FOR = ".jpg, .png, .webp and others"
"""Image formats as an error names them."""
SOURCES = {
    "images": Entry("cmaen.inference.sources.images:ListSource"),
    "folder": Entry("cmaen.inference.sources.images:FolderSource"),
    "address": Entry("cmaen.inference.sources.address:AddressSource", "scale", "reading from an address"),
    "video": Entry("cmaen.inference.sources.video:VideoSource", "video", "video"),
    "camera": Entry("cmaen.inference.sources.camera:CameraSource"),
}
"""Entries by kind; each class takes the place of the frames and options of its own."""
