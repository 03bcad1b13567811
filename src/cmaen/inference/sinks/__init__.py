"""Destinations of results. A new one needs a file, a line in :data:`~cmaen.inference.sinks.base.SINKS` and a test; one
in another package is a plug-in, see :mod:`cmaen.plugins`.
"""

from __future__ import annotations

from typing import Any

from cmaen import plugins
from cmaen.inference.registry import load
from cmaen.inference.sinks.base import SINKS, Needs, Quit, Sink


def open_sink(kind: str, *target: Any, **options: Any) -> Sink:
    """Open a sink by its kind.

    Args:
        kind: One of :data:`~cmaen.inference.sinks.base.SINKS`, or a plug-in.
        *target: Where it writes; nothing for a window.
        **options: Options of the sink.

    Raises:
        CmaenError: The target cannot be written.
        MissingExtraError: The extra that the sink needs is not installed.
        PluginError: The sink of another package cannot be imported or opened.
    """
    sink: Sink = load(SINKS, kind, "a sink", plugins=plugins.SINKS)(*target, **options)
    return sink


__all__ = ["SINKS", "Needs", "Quit", "Sink", "open_sink"]
