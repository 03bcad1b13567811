"""The classes of faces: the seven emotions under their usual names, or custom labels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmaen.errors import DataError
from cmaen.types import EMOTIONS

ALL = "all"
"""All classes of a data set, in alphabetical order."""
ALIASES = {
    "anger": "angry",
    "annoyed": "angry",
    "disgusted": "disgust",
    "disgusting": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "joyful": "happy",
    "smile": "happy",
    "neutrality": "neutral",
    "calm": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
    "astonished": "surprise",
}
"""Other usual names of the seven emotions."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelling:
    """The classes, and the mapping from names to them.

    Attributes:
        classes: Names of the classes.
        skipped: Number of files of each name that stands for no class.
    """

    classes: tuple[str, ...]
    skipped: dict[str, int]

    @classmethod
    def of(cls, names: Iterable[str], wanted: Sequence[str] | str | None) -> Labelling:
        """Determine the classes of a data set from the class names of its files.

        Args:
            names: One name per file.
            wanted: The classes; :data:`ALL` for those of the data; ``None`` for the seven emotions.

        Raises:
            DataError: No file has one of the classes, or there is only one class; the message says what there is.
        """
        counts = Counter(names)
        if wanted == ALL:
            classes = tuple(sorted({plain(name) for name in counts} - {""}, key=_in_order))
        else:
            classes = EMOTIONS if wanted is None else tuple(plain(name) for name in wanted)
        labelling = cls(classes, {})
        found = {labelling.index(name) for name in counts} - {None}
        skipped = {name: count for name, count in sorted(counts.items()) if labelling.index(name) is None}
        there = ", ".join(f"{name} ({count:,})" for name, count in sorted(counts.items())[:20]) or "nothing"
        if not found:
            numbers = (
                "; the meaning of numbers is unknown: give their names, such as --names 0=angry,1=disgust"
                if all(name.strip().isdecimal() for name in counts if name.strip())
                else ""
            )
            advice = ". To learn all classes of the data, use cmaen train --set data.labels=all"
            raise DataError(
                f"no face has one of the classes {', '.join(classes)}; the data have {there}{numbers}"
                f"{advice if wanted is None else ''}"
            )
        if len(classes) < 2:
            raise DataError(f"there is only one class, {there}; at least two are needed")
        return cls(classes, skipped)

    def index(self, name: str) -> int | None:
        """Return the index of a name's class; ``None`` if it stands for none."""
        name = plain(name)
        if name not in self.classes:
            name = ALIASES.get(name, name)
        return self.classes.index(name) if name in self.classes else None

    def say_skipped(self, *, advise: bool = True) -> None:
        """Log the classes that are left out, with the number of their files.

        Args:
            advise: Whether to say how to learn them too.
        """
        if self.skipped:
            left = ", ".join(f"{name} ({count:,})" for name, count in self.skipped.items())
            advice = "; to learn them too, use --set data.labels=all" if advise else ""
            log.warning("classes left out: %s%s", left, advice)


def name_emotions(names: Iterable[str]) -> bool:
    """Whether these names of classes are the seven emotions, each once and under any of its usual names."""
    meant = [ALIASES.get(plain(name), plain(name)) for name in names]
    return sorted(meant) == sorted(EMOTIONS)


def rename(label: str, names: Mapping[str, str]) -> str:
    """Return the name that a label has in the data, which may be a number; see :func:`read_names`."""
    return names.get(plain(label), label)


def read_names(names: Mapping[Any, Any]) -> dict[str, str]:
    """Read the names for labels that are written in another way, such as ``{1: "surprise"}``; whole numbers are text.

    Raises:
        DataError: A name is empty, or a label has two names.
    """
    read: dict[str, str] = {}
    for label, name in names.items():
        key, value = plain(str(label)), str(name).strip()
        if not key or not value:
            raise DataError(f"a label and its name must not be empty: {label!r}={name!r}")
        if read.setdefault(key, value) != value:
            raise DataError(f"the label {key} has two names, {read[key]} and {value}")
    return read


def plain(name: str) -> str:
    """Return a name in lower case without surrounding space."""
    return name.strip().lower()


def _in_order(name: str) -> tuple[int, str]:
    """Return a key that sorts alphabetically, and numbers by value."""
    return (int(name) if name.isdecimal() else -1, name)
