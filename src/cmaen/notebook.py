"""Progress bars for long loops in notebooks; nothing is shown elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from html import escape
from importlib import import_module
from typing import Any, TypeVar

_T = TypeVar("_T")

PATIENCE, PAUSE = 1.0, 0.25
"""Seconds until a loop counts as long, and seconds between two updates."""


def follow(items: Iterable[_T], *, unit: str, total: int | None = None) -> Iterator[_T]:
    """Yield the items; a notebook shows a bar below the cell if they take longer than a second.

    Args:
        items: Items of the loop.
        unit: Plural noun for the items, such as ``images``.
        total: Number of items, if known.
    """
    if not in_notebook():
        yield from items
        return
    began = shown = time.monotonic()
    place: Any = None
    count = 0
    try:
        for count, item in enumerate(items, start=1):
            yield item
            now = time.monotonic()
            if now - shown > (PAUSE if place else PATIENCE):
                place, shown = _show(place, _describe(count, total, unit, now - began, done=False)), now
    finally:
        if place is not None:
            _show(place, _describe(count, total, unit, time.monotonic() - began, done=True))


def in_notebook() -> bool:
    """Whether the code runs in a notebook kernel rather than in a terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


def _show(place: Any, markup: str) -> Any:
    """Display markup, or replace what was displayed before."""
    shown: Any = import_module("IPython.display")
    if place is None:
        return shown.display(shown.HTML(markup), display_id=True)
    place.update(shown.HTML(markup))
    return place


def _describe(count: int, total: int | None, unit: str, seconds: float, *, done: bool) -> str:
    """Describe the progress beside a bar: ``120 of 500 images, about 0:38 left``."""
    unit = escape(unit)
    if done:
        return f"<small>{count:,} {unit} in {_write_time(seconds)}</small>"
    if not total:
        return f"<small>{count:,} {unit}, {_write_time(seconds)}</small>"
    left = seconds / count * max(total - count, 0)
    bar = f'<progress value="{min(count, total)}" max="{total}"></progress>'
    return f"{bar} <small>{count:,} of {total:,} {unit}, about {_write_time(left)} left</small>"


def _write_time(seconds: float) -> str:
    """Write a time as ``0:07`` or ``1:02:03``; below ten seconds as ``7.0 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
