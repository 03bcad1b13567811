"""The one way in which this package says that something will be removed.

Whatever is kept for older callers calls :func:`warn_deprecated`; it stays for at least two minor versions.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

_HOME = str(Path(__file__).parent)


class CmaenDeprecationWarning(DeprecationWarning):
    """Something of this package will be removed; the message says when, and what replaces it."""


def warn_deprecated(what: str, instead: str, *, removal: str) -> None:
    """Warn that something is deprecated; the warning names the caller's line, outside this package.

    ``warn_deprecated("the name 'shipped'", "'cmaen-m'", removal="0.4")``

    Args:
        what: What is deprecated, as the beginning of a sentence.
        instead: What replaces it.
        removal: Version in which it is removed.
    """
    text = f"{what} is deprecated and will be removed in CMAEN {removal}; use {instead}"
    warnings.warn(text, CmaenDeprecationWarning, stacklevel=_find_caller())


def warn_changed(text: str) -> None:
    """Warn that the meaning of something has changed; the warning names the caller's line, outside this package."""
    warnings.warn(text, FutureWarning, stacklevel=_find_caller())


def _find_caller() -> int:
    """Return the level of the first caller outside this package, as seen by the function that calls this one."""
    level, frame = 2, sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HOME):
        level, frame = level + 1, frame.f_back
    return level
