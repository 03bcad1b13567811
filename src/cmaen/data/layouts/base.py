"""The protocol of layouts, what they return, and the parts that several of them share."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePath, PurePosixPath
from typing import NamedTuple, Protocol

from cmaen.data.contents import Files
from cmaen.data.encodings import Opener
from cmaen.data.labelling import ALIASES, plain
from cmaen.data.splits import Split, split_named
from cmaen.data.table import Box
from cmaen.errors import CmaenError
from cmaen.images.reader import printable
from cmaen.types import CONTEMPT, EMOTIONS

PERSON = "person"
"""The column of :attr:`ListedFace.values` that names the person."""
WHOLE_HEADS = "its pictures show more than the face: cut the faces out first, with cmaen crop"
_SAMPLE = 200
_MOST_TABLES = 100
_LONGEST_NAME = 100

log = logging.getLogger(__name__)


class ListedFace(NamedTuple):
    """A face of a published data set.

    Attributes:
        file: Its picture.
        label: Name of its class.
        split: Its split; ``None`` if the data set has none.
        group: Faces of the same group, such as a person, stay together when a split is drawn.
        box: Its box in the picture; ``None`` if the picture is the face.
        row: Line of the list that names it.
        values: What else is known about it, by the name of a column.
    """

    file: PurePosixPath
    label: str
    split: Split | None = None
    group: str | None = None
    box: Box | None = None
    row: int = 0
    values: Mapping[str, str] = {}


@dataclass
class Tally:
    """A count of things left out, with the first of them."""

    count: int = 0
    first: str = ""

    def add(self, name: str) -> None:
        """Count a thing."""
        self.first = self.first or name
        self.count += 1

    def describe(self, one: str, several: str) -> list[str]:
        """Describe the count and the first thing; empty if there are none."""
        if not self.count:
            return []
        return [
            f"{self.count:,} {one if self.count == 1 else several}, {'' if self.count == 1 else 'the first '}"
            f"{self.first}"
        ]


@dataclass(frozen=True)
class Reading:
    """A data set as a layout understood it.

    Attributes:
        layout: Name of the layout.
        about: What its labels and splits were read from.
        faces: Its faces.
        texts: The files that told their labels.
        faults: Lines, names or annotations that cannot be used, with the reason.
        missing: Pictures that are listed, but are not there.
        others: Pictures whose label nothing tells.
        unlabelled: Number of faces by an answer of the annotators that is no emotion, such as "no face".
        advice: What to do first; empty if the pictures can be learnt as they are.
    """

    layout: str
    about: str
    faces: tuple[ListedFace, ...]
    texts: tuple[PurePosixPath, ...] = ()
    faults: Tally = field(default_factory=Tally)
    missing: Tally = field(default_factory=Tally)
    others: Tally = field(default_factory=Tally)
    unlabelled: Mapping[str, int] = field(default_factory=dict)
    advice: str = ""

    def say(self, root: PurePath) -> None:
        """Log in one line how the data set was understood, and in another what is left out."""
        counts = Counter(face.split for face in self.faces)
        splits = ", ".join(f"{split.folder} {counts[split]:,}" for split in Split if counts[split])
        faces = f"{len(self.faces):,} faces" + (f" ({splits})" if splits else "")
        advice = f"; {self.advice}" if self.advice else ""
        log.warning("%s is read as %s: %s; %s%s", printable(root), self.layout, self.about, faces, advice)
        left_out = [
            *self.faults.describe("entry that cannot be used", "entries that cannot be used"),
            *self.missing.describe("picture that is listed but missing", "pictures that are listed but missing"),
            *self.others.describe("picture without a label", "pictures without a label"),
            *(f"{count:,} labelled {name}" for name, count in sorted(self.unlabelled.items())),
        ]
        if left_out:
            log.warning("left out of %s: %s", printable(root), "; ".join(left_out))


class Layout(Protocol):
    """Recognises a data set by its files."""

    def __call__(self, files: Files) -> Reading | None:
        """Return the faces of a data set in this layout; ``None`` if it is in another.

        Raises:
            DataError: It is in this layout, but cannot be used.
        """
        ...


class Draft:
    """A reading in progress.

    Args:
        layout: Name of the layout.
        files: Files of the data set.
    """

    def __init__(self, layout: str, files: Files) -> None:
        self._layout, self._files = layout, files
        self._faces: list[ListedFace] = []
        self._whole: set[PurePosixPath] = set()
        self.faults, self.missing = Tally(), Tally()
        self._unlabelled: Counter[str] = Counter()
        self._skipped: set[PurePosixPath] = set()

    def __len__(self) -> int:
        return len(self._faces)

    def add(self, face: ListedFace) -> None:
        """Add a face; a picture without a box is one face, so a second one of it is a fault."""
        if face.box is None and face.file in self._whole:
            self.faults.add(f"{show(face.file)} is listed twice; the first entry counts")
            return
        if face.box is None:
            self._whole.add(face.file)
        self._faces.append(face)

    def add_class_folders(self, pattern: re.Pattern[str], tell: Callable[[re.Match[str]], Mapping[str, str]]) -> None:
        """Add every picture under the name of its folder, with what its own name tells, such as the person.

        Args:
            pattern: Names of pictures that tell something, without the suffix.
            tell: Returns the values of such a name, see :class:`ListedFace`.
        """
        for file in self._files.pictures:
            match = pattern.fullmatch(file.stem)
            values = {} if match is None else tell(match)
            split = find_split(file.parent.parent)
            self.add(ListedFace(file, file.parent.name, split, values.get(PERSON), values=values))

    def skip(self, answer: str, file: PurePosixPath | None = None) -> None:
        """Leave out a face whose annotators gave an answer that is no emotion, such as "no face"."""
        self._unlabelled[answer] += 1
        if file is not None:
            self._skipped.add(file)

    def finish(
        self,
        about: str,
        texts: Iterable[PurePosixPath] = (),
        *,
        besides: Iterable[PurePosixPath] = (),
        advice: str = "",
    ) -> Reading:
        """Return the reading.

        Args:
            about: What labels and splits were read from.
            texts: The files that told the labels.
            besides: Pictures that are known not to be faces of their own, such as another version of each.
            advice: See :class:`Reading`.
        """
        others, used = Tally(), {face.file for face in self._faces}.union(self._skipped, besides)
        for file in self._files.pictures:
            if file not in used:
                others.add(show(file))
        return Reading(
            self._layout,
            about,
            tuple(self._faces),
            tuple(texts),
            self.faults,
            self.missing,
            others,
            dict(self._unlabelled),
            advice,
        )


def show(name: str | PurePath) -> str:
    """Return a name for a message, shortened at its beginning."""
    text = printable(name)
    return text if len(text) <= _LONGEST_NAME else f"…{text[-_LONGEST_NAME:]}"


def find_tables(files: Files) -> dict[PurePosixPath, Opener]:
    """Return the CSVs that may list the data set; none if there are so many that they belong to single pictures."""
    tables = {text: opener for text, opener in files.texts.items() if text.suffix.lower() == ".csv"}
    return tables if len(tables) <= _MOST_TABLES else {}


def match_names(files: Files, pattern: re.Pattern[str]) -> dict[PurePosixPath, re.Match[str]]:
    """Match the names of the pictures without their suffixes; none unless most of them match."""
    paths = list(files.pictures)
    sample = paths[:: max(1, len(paths) // _SAMPLE)]
    if 2 * sum(pattern.fullmatch(file.stem) is not None for file in sample) <= len(sample):
        return {}
    return {file: found for file in paths if (found := pattern.fullmatch(file.stem)) is not None}


def is_emotion(name: str) -> bool:
    """Whether a name is that of an emotion, under any of its usual names."""
    return plain(name) in {*EMOTIONS, *ALIASES, CONTEMPT}


def lie_in_class_folders(files: Iterable[PurePosixPath]) -> bool:
    """Whether pictures lie in folders that are all named after emotions, at least two."""
    folders = {file.parent.name for file in files}
    return len({plain(name) for name in folders}) > 1 and all(map(is_emotion, folders))


@lru_cache(maxsize=1024)
def find_split(folder: PurePosixPath) -> Split | None:
    """Return the split that one of the folders of a path names; the last one that does."""
    return next((found for part in reversed(folder.parts) if (found := split_named(part)) is not None), None)


def show_whole_heads(files: Files, faces: Iterable[PurePosixPath]) -> str:
    """Return :data:`WHOLE_HEADS` if pictures are not square, as crops of faces are; empty otherwise, or if unread."""
    for file, _ in zip(faces, range(3), strict=False):
        try:
            height, width = files.pictures[file].read().shape[:2]
        except CmaenError:
            continue
        return "" if height == width else WHOLE_HEADS
    return ""
