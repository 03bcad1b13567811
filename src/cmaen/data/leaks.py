"""Images that stand in two splits: ``cmaen leaks`` as a function with a typed result."""

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
"""Of :attr:`Leaks.rows`."""


@dataclass(frozen=True)
class Leaks:
    """The copies that stand in two sets of faces.

    Attributes:
        first, second: The sets.
        copies: All pairs.
    """

    first: FaceSet = field(repr=False)
    second: FaceSet = field(repr=False)
    copies: tuple[Copy, ...]

    @property
    def pairs(self) -> dict[str, int]:
        """How many pairs there are of each kind: ``exact``, ``near`` and ``mirrored``."""
        return dict(sorted(Counter(copy.kind for copy in self.copies).items()))

    @property
    def images(self) -> dict[str, int]:
        """How many images of the second set have a copy of each kind in the first."""
        return {kind: len({copy.second for copy in self.copies if copy.kind == kind}) for kind in self.pairs}

    @property
    def affected(self) -> int:
        """How many images of the second set have any copy in the first."""
        return len({copy.second for copy in self.copies})

    @property
    def conflicts(self) -> int:
        """How many pairs are labelled differently."""
        return sum(bool(self.first.labels[copy.first] != self.second.labels[copy.second]) for copy in self.copies)

    @property
    def rows(self) -> list[dict[str, str | float]]:
        """Names and labels of the pairs, by :data:`COLUMNS`."""
        return [copy.row(self.first, self.second) for copy in self.copies]

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
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
    """The images that stand in two splits of a data set: exact copies, near ones and mirrored ones.

    Args:
        data: See :func:`cmaen.data.faces.load_faces`; ``None``: FER2013 where it is looked for. All labels count.
        first, second: The splits by their names, see :meth:`cmaen.data.splits.Split.parse`.

    Raises:
        DataError: The data cannot be read.
        SplitError: They do not hold one of the splits.
    """
    path = find_data() if data is None else Path(data)
    one, other = (load_faces(path, Split.parse(name), labels=ALL) for name in (first, second))
    return Leaks(one, other, tuple(find_copies(one, other)))
