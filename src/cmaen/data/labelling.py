"""What faces are told apart by: the seven emotions under their usual names, or labels of one's own."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cmaen.errors import DataError
from cmaen.types import EMOTIONS

ALL = "all"
"""Every class that a data set has, in the order of the alphabet."""
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
"""Usual names of the seven emotions in other data sets."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelling:
    """Classes, and which of them a name stands for.

    Attributes:
        classes: Their names.
        skipped: How many files have a name that stands for none of them, by the name.
    """

    classes: tuple[str, ...]
    skipped: dict[str, int]

    @classmethod
    def of(cls, names: Iterable[str], wanted: Sequence[str] | str | None) -> Labelling:
        """The labelling of a data set whose files have these names of classes.

        Args:
            names: One a file.
            wanted: The classes; :data:`ALL` for those that there are; ``None`` for the seven emotions.

        Raises:
            DataError: No file has one of the classes, or there is only one; the message says what there is.
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
                "; numbers do not tell which emotion they mean, so write names in their place"
                if all(name.strip().isdecimal() for name in counts if name.strip())
                else ""
            )
            raise DataError(
                f"none of the classes is one of {', '.join(classes)}; there is {there}{numbers}. "
                "cmaen train --set data.labels=all learns what there is"
            )
        if len(classes) < 2:
            raise DataError(f"there is one class alone, and two are needed to tell apart: {there}")
        return cls(classes, skipped)

    def index(self, name: str) -> int | None:
        """The place of a name's class among them; ``None`` where it stands for none."""
        name = plain(name)
        if name not in self.classes:
            name = ALIASES.get(name, name)
        return self.classes.index(name) if name in self.classes else None

    def say_skipped(self) -> None:
        """Put the classes that are left out on the log, with the number of their files."""
        if self.skipped:
            left = ", ".join(f"{name} ({count:,})" for name, count in self.skipped.items())
            log.warning("classes left out: %s; --set data.labels=all learns them too", left)


def name_emotions(names: Iterable[str]) -> bool:
    """Whether these names of classes are the seven emotions, each once and under any of its usual names."""
    meant = [ALIASES.get(plain(name), plain(name)) for name in names]
    return sorted(meant) == sorted(EMOTIONS)


def plain(name: str) -> str:
    """A name without capitals and without space around it."""
    return name.strip().lower()


def _in_order(name: str) -> tuple[int, str]:
    """The order of the alphabet, and that of numbers among numbers."""
    return (int(name) if name.isdecimal() else -1, name)
