"""Copies between two splits: ``cmaen leaks`` as a function with a typed result."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmaen.data.faces import find_data, load_faces
from cmaen.data.labelling import ALL
from cmaen.data.leakage import Copy, find_copies
from cmaen.data.splits import FaceSet, Split

COLUMNS = ("kind", "first", "first_label", "second", "second_label", "correlation")
"""The columns of :attr:`Leaks.rows`."""


@dataclass(frozen=True)
class Leaks:
    """The copies between two sets of faces.

    Attributes:
        first, second: The sets.
        copies: All pairs.
    """

    first: FaceSet = field(repr=False)
    second: FaceSet = field(repr=False)
    copies: tuple[Copy, ...]

    @property
    def pairs(self) -> dict[str, int]:
        """The number of pairs of each kind: ``exact``, ``near`` and ``mirrored``."""
        return dict(sorted(Counter(copy.kind for copy in self.copies).items()))

    @property
    def images(self) -> dict[str, int]:
        """The number of images of the second set with a copy of each kind in the first."""
        return {kind: len({copy.second for copy in self.copies if copy.kind == kind}) for kind in self.pairs}

    @property
    def affected(self) -> int:
        """The number of images of the second set with any copy in the first."""
        return len({copy.second for copy in self.copies})

    @property
    def conflicts(self) -> int:
        """The number of pairs with different labels."""
        return sum(bool(self.first.labels[copy.first] != self.second.labels[copy.second]) for copy in self.copies)

    @property
    def rows(self) -> list[dict[str, str | float]]:
        """The names and labels of the pairs, by :data:`COLUMNS`."""
        return [copy.row(self.first, self.second) for copy in self.copies]

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return {
            "first": self.first.title,
            "second": self.second.title,
            "pairs": self.pairs,
            "images": self.images,
            "affected": self.affected,
            "conflicts": self.conflicts,
            "copies": self.rows,
        }


def find_leaks(data: Path | str | None = None, first: str = "train", second: str = "validation") -> Leaks:
    """Find the images that two splits of a data set share: exact copies, near ones and mirrored ones.

    Args:
        data: See :func:`cmaen.data.faces.load_faces`; ``None``: FER2013 in its usual places. All labels count.
        first, second: The splits by their names, see :meth:`cmaen.data.splits.Split.parse`.

    Raises:
        DataError: The data cannot be read.
        SplitError: One of the splits does not exist.
    """
    path = find_data() if data is None else Path(data)
    one, other = (load_faces(path, Split.parse(name), labels=ALL) for name in (first, second))
    return Leaks(one, other, tuple(find_copies(one, other)))
