"""One or several: what takes a list of images says so when it is given a single one, and never iterates over it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")
_TEXT_AND_BYTES = (str, bytes, bytearray, memoryview, os.PathLike)
_OBJECTS = "OSU"
"""The kinds of arrays, in NumPy's letters, whose elements may be images of their own: objects, bytes and text."""


def require_several(items: Iterable[_T], advice: str, *, of: str = "images") -> Iterable[_T]:
    """The items, unless they are a single one.

    Args:
        items: What should be a list, or anything else that is iterated over.
        advice: What to do with a single one.
        of: What the items are.

    Raises:
        TypeError: They are a single image of any type that is accepted: a path, text, bytes, an open file, a PIL image,
            an array or tensor of numbers with fewer than four axes; or a mapping, or nothing that can be iterated over.
    """
    if is_single(items) or not hasattr(items, "__iter__"):
        raise TypeError(f"this takes a list of {of}, not a single {type(items).__name__}; {advice}")
    return items


def is_single(item: Any) -> bool:
    """Whether something is one item rather than several, without a look at its elements or at any library."""
    if isinstance(item, (*_TEXT_AND_BYTES, Mapping)) or hasattr(item, "read"):
        return True
    axes = getattr(item, "ndim", None)
    if isinstance(axes, int):  # an array, a tensor, or a column of a table; four axes are a stack of images
        kind = getattr(getattr(item, "dtype", None), "kind", "")
        columns = hasattr(item, "index") and hasattr(item, "iloc")
        return axes < 4 and kind not in _OBJECTS if kind else axes < 4 and not columns
    return hasattr(item, "__array_interface__")  # a PIL image
