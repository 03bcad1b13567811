"""Where frames come from. A new source is one new file, one line in :data:`~cmaen.inference.sources.base.SOURCES` and
one test.
"""

from __future__ import annotations

from typing import Any

from cmaen.inference.registry import load
from cmaen.inference.sources.base import SOURCES, Pending, Source
from cmaen.inference.sources.excerpt import Excerpt


def open_source(kind: str, where: Any, **options: Any) -> Source:
    """A source by its kind.

    Args:
        kind: One of :data:`~cmaen.inference.sources.base.SOURCES`.
        where: The pictures, a folder, an address, a video, or the index of a camera.
        **options: Of the source, like ``excerpt`` of a video and a camera, ``without`` of a folder and an address;
            ``None`` is its own.

    Raises:
        CmaenError: It cannot be opened.
        MissingExtraError: What it needs is not installed.
    """
    given = {name: value for name, value in options.items() if value is not None}
    source: Source = load(SOURCES, kind, "a source")(where, **given)
    return source


__all__ = ["SOURCES", "Excerpt", "Pending", "Source", "open_source"]
