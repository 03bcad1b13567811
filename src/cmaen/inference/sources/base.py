"""What a source is, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from cmaen.inference.registry import Entry
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


SOURCES = {
    "images": Entry("cmaen.inference.sources.images:ListSource"),
    "folder": Entry("cmaen.inference.sources.images:FolderSource"),
    "address": Entry("cmaen.inference.sources.address:AddressSource", "scale", "reading from an address"),
    "video": Entry("cmaen.inference.sources.video:VideoSource", "video", "video"),
    "camera": Entry("cmaen.inference.sources.camera:CameraSource"),
}
"""By kind; each class takes where the frames are, and options of its own."""
