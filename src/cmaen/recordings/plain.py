"""Names as one line of plain text, which every format of annotations and subtitles can hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from cmaen.naming import make_unique

NOBODY = "person"
"""Name of a person without one."""
_UNUSABLE = ("Cc", "Cs")
"""Categories of characters that XML cannot hold: controls, and halves of surrogate pairs."""


def make_plain(text: str) -> str:
    """Make one line of a text: spaces, tabs and line breaks become one space, unusable characters become U+FFFD."""
    line = " ".join(text.split())
    return line if is_usable(line) else "".join(one if is_usable(one) else "\N{REPLACEMENT CHARACTER}" for one in line)


def is_usable(text: str) -> bool:
    """Whether XML and UTF-8 can hold every character of a text."""
    return not any(unicodedata.category(one) in _UNUSABLE or ord(one) & 0xFFFE == 0xFFFE for one in text)


def name_plainly(names: Iterable[str]) -> dict[str, str]:
    """Give each name a plain one of its own; those that become equal are numbered.

    Args:
        names: Names, such as the keys of :attr:`cmaen.recordings.recording.Recording.people`; each of them once.

    Returns:
        The plain name of each name, in the same order.
    """
    names = list(names)
    return dict(zip(names, make_unique([make_plain(name) or NOBODY for name in names]), strict=True))
