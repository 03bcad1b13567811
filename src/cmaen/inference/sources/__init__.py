"""Sources of frames. A new source needs one new file, one line in :data:`~cmaen.inference.sources.base.SOURCES` and
one test.
"""

from __future__ import annotations

from typing import Any

from cmaen.inference.registry import load
from cmaen.inference.sources.base import SOURCES, Pending, Source
from cmaen.inference.sources.excerpt import Excerpt


def open_source(kind: str, where: Any, **options: Any) -> Source:
    """Open a source by its kind.

    Args:
        kind: One of :data:`~cmaen.inference.sources.base.SOURCES`.
        where: Images, a folder, an address, a video, or the index of a camera.
        **options: Options of the source, such as ``excerpt`` of a video or camera, or ``without`` of a folder or
            address; ``None`` leaves an option at its default.

    Raises:
        CmaenError: The source cannot be opened.
        MissingExtraError: The extra that the source needs is not installed.
    """
    given = {name: value for name, value in options.items() if value is not None}
    source: Source = load(SOURCES, kind, "a source")(where, **given)
    return source


__all__ = ["SOURCES", "Excerpt", "Pending", "Source", "open_source"]
