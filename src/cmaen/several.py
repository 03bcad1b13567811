"""One or several: functions that take a list of images refuse a single one instead of iterating over it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")
_TEXT_AND_BYTES = (str, bytes, bytearray, memoryview, os.PathLike)
_OBJECTS = "OSU"
"""Kinds of arrays, by NumPy's letters, whose elements may be images themselves: objects, bytes and text."""


def require_several(items: Iterable[_T], advice: str, *, of: str = "images") -> Iterable[_T]:
    """Return the items unless they are a single one.

    Args:
        items: A list, or any other iterable.
        advice: What to do with a single item.
        of: Name of the items.

    Raises:
        TypeError: The argument is a single image of any accepted type: a path, text, bytes, an open file, a PIL image,
            an array or tensor of numbers with fewer than four axes; or a mapping, or not iterable.
    """
    if is_single(items) or not hasattr(items, "__iter__"):
        raise TypeError(f"this takes a list of {of}, not a single {type(items).__name__}; {advice}")
    return items


def is_single(item: Any) -> bool:
    """Whether an object is one item rather than several, without looking at its elements or importing any library."""
    if isinstance(item, (*_TEXT_AND_BYTES, Mapping)) or hasattr(item, "read"):
        return True
    axes = getattr(item, "ndim", None)
    if isinstance(axes, int):  # an array, a tensor, or a column of a table; four axes are a stack of images
        kind = getattr(getattr(item, "dtype", None), "kind", "")
        columns = hasattr(item, "index") and hasattr(item, "iloc")
        return axes < 4 and kind not in _OBJECTS if kind else axes < 4 and not columns
    return hasattr(item, "__array_interface__")  # a PIL image
