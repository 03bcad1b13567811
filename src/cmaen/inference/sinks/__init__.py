"""Where results go. A new sink is one new file, one line in :data:`~cmaen.inference.sinks.base.SINKS` and one test."""

from __future__ import annotations

from typing import Any

from cmaen.inference.registry import load
from cmaen.inference.sinks.base import SINKS, Needs, Quit, Sink


def open_sink(kind: str, *target: Any, **options: Any) -> Sink:
    """A sink by its kind.

    Args:
        kind: One of :data:`~cmaen.inference.sinks.base.SINKS`.
        *target: What it writes to; nothing for a window.
        **options: Of the sink.

    Raises:
        CmaenError: It cannot be written to.
        MissingExtraError: What it needs is not installed.
    """
    sink: Sink = load(SINKS, kind, "a sink")(*target, **options)
    return sink


__all__ = ["SINKS", "Needs", "Quit", "Sink", "open_sink"]
