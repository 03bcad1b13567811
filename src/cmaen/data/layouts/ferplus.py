"""FER+ (Barsoum et al., 2016) as its own script writes it: folders of pictures, each with the votes in ``label.csv``.

A line is ``fer0000000.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0``: name, box, and ten votes. The label is what most
annotators saw. Pictures in such folders with FER+'s own ``fer2013new.csv`` beside them are read alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from cmaen.data.contents import Files
from cmaen.data.encodings import Opener
from cmaen.data.ferplus import CATEGORIES
from cmaen.data.labelling import ALIASES
from cmaen.data.layouts.base import Draft, ListedFace, Reading, find_split, find_tables, lie_in_class_folders, show
from cmaen.data.splits import Split, split_named
from cmaen.data.table import columns_of_text, lines_of
from cmaen.listing import name_some

NAME = "FER+"
LIST = "label.csv"
NO_EMOTION = ("unknown", "NF")
"""Categories that are no emotion; a face that most annotators put there is left out."""
_FOLDER = re.compile(r"FER2013(Train|Valid|Test)", re.IGNORECASE)
"""Folders of FER+'s own script; pictures that others have numbered bear other numbers than its list."""
_COLUMNS = ["name", "box", *CATEGORIES]
_PUBLISHED = ("Usage", "Image name", *CATEGORIES)


class _Line(NamedTuple):
    """A line of a list: the folder of the picture if it is known, its name, votes, and split."""

    folder: PurePosixPath | None
    name: str
    votes: Sequence[str]
    split: Split | None


def find_ferplus(files: Files) -> Reading | None:
    """Recognise FER+ by its lists, see :class:`cmaen.data.layouts.base.Layout`."""
    lists = {text: opener for text, opener in find_tables(files).items() if _is_list(text, opener)}
    if not lists or lie_in_class_folders(files.pictures):
        return None
    draft = Draft(NAME, files)
    by_name = {file.name.lower(): file for file in files.pictures if _FOLDER.fullmatch(file.parent.name)}
    for text, opener in lists.items():
        for number, line in _lines(text, opener):
            _add(draft, files, line, f"{show(text)}, line {number}", by_name)
    if not len(draft) and all(text.name.lower() != LIST for text in lists):
        return None  # votes beside other pictures, such as those of FER2013 under other names
    return draft.finish(f"labels by most of the votes in {name_some(list(map(show, lists)))}, splits by folder", lists)


def _is_list(text: PurePosixPath, opener: Opener) -> bool:
    columns = columns_of_text(opener, text.name)
    if text.name.lower() == LIST:
        return len(columns) == len(_COLUMNS) and columns[1].startswith("(") and columns[1].endswith(")")
    return set(columns) >= set(_PUBLISHED)


def _lines(text: PurePosixPath, opener: Opener) -> Iterator[tuple[int, _Line]]:
    if text.name.lower() == LIST:
        for number, line in lines_of(opener, text.name, _COLUMNS):
            votes = [line[name] for name in CATEGORIES]
            yield number, _Line(text.parent, line["name"], votes, find_split(text.parent))
    else:
        for number, line in lines_of(opener, text.name):
            if line["Image name"]:  # empty for a picture without a face, which FER+ leaves out
                votes = [line[name] for name in CATEGORIES]
                yield number, _Line(None, line["Image name"], votes, split_named(line["Usage"]))


def _add(draft: Draft, files: Files, line: _Line, where: str, by_name: dict[str, PurePosixPath]) -> None:
    """Add the face of a line."""
    try:
        votes = [int(vote) for vote in line.votes]
    except ValueError:
        votes = []
    if not any(votes) or min(votes) < 0:
        draft.faults.add(f"{where}: {show(line.name)} has no votes")
        return
    seen = CATEGORIES[votes.index(max(votes))]  # among several, the first, as FER+ has it
    file = by_name.get(line.name.lower()) if line.folder is None else line.folder / line.name
    if seen in NO_EMOTION:
        draft.skip(seen, file)
    elif file is None or file not in files.pictures:
        draft.missing.add(show(line.name))
    else:
        draft.add(ListedFace(file, ALIASES.get(seen, seen), line.split))
