"""How far a long loop is, shown in a notebook; silence everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from html import escape
from importlib import import_module
from typing import Any, TypeVar

_T = TypeVar("_T")

PATIENCE, PAUSE = 1.0, 0.25
"""Seconds after which a loop is long, and between two times that it is shown."""


def follow(items: Iterable[_T], *, unit: str, total: int | None = None) -> Iterator[_T]:
    """The items; in a notebook with a bar under the cell once they take longer than a second.

    Args:
        items: What is looped over.
        unit: What they are, like ``images``.
        total: How many there will be, if that is known.
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
    """Whether this runs in a kernel whose cells show what is displayed, and not in a terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


def _show(place: Any, markup: str) -> Any:
    """Display something, or put it in the place of what was displayed before."""
    shown: Any = import_module("IPython.display")
    if place is None:
        return shown.display(shown.HTML(markup), display_id=True)
    place.update(shown.HTML(markup))
    return place


def _describe(count: int, total: int | None, unit: str, seconds: float, *, done: bool) -> str:
    """Like ``120 of 500 images, 0:12, about 0:38 left`` beside a bar."""
    unit = escape(unit)
    if done:
        return f"<small>{count:,} {unit} in {_write_time(seconds)}</small>"
    if not total:
        return f"<small>{count:,} {unit}, {_write_time(seconds)}</small>"
    left = seconds / count * max(total - count, 0)
    bar = f'<progress value="{min(count, total)}" max="{total}"></progress>'
    return f"{bar} <small>{count:,} of {total:,} {unit}, about {_write_time(left)} left</small>"


def _write_time(seconds: float) -> str:
    """Like ``0:07`` or ``1:02:03``; of less than ten seconds with a decimal."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
