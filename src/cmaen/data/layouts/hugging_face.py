"""Image folders of Hugging Face: ``metadata.csv`` or ``metadata.jsonl`` with a column ``file_name``, in any folders.

Paths are relative to the folder of the metadata. The split is a column, or a folder such as ``train``. Numbers get the
names that ``README.md`` has for them. Folders that are named after emotions come before the metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import PurePosixPath

from cmaen.data.contents import Files
from cmaen.data.encodings import Opener, read_lines
from cmaen.data.layouts.base import Draft, ListedFace, Reading, find_split, lie_in_class_folders, show
from cmaen.data.splits import split_named
from cmaen.data.table import Row, box_of, columns_of_text, is_table_of_faces, lines_of, make_rows
from cmaen.errors import DataError
from cmaen.listing import name_some

NAME = "Hugging Face's image folder"
LISTS = ("metadata.csv", "metadata.jsonl")
_NAMES = re.compile(r"class_label:\s*names:((?:\s*['\"]?\d+['\"]?:[^\n]*\n)+)")
_NUMBERED = re.compile(r"['\"]?(\d+)['\"]?:\s*['\"]?([^'\"\n]+)")
_CARD = "README.md"
_LINES = 5000


def find_hugging_face(files: Files) -> Reading | None:
    """Recognise an image folder by its metadata, see :class:`cmaen.data.layouts.base.Layout`."""
    lists = {
        text: opener for text, opener in files.texts.items() if text.name.lower() in LISTS and _has_labels(text, opener)
    }
    if not lists or lie_in_class_folders(files.pictures):
        return None
    draft, cards = Draft(NAME, files), _read_names(files, lists)
    names = next(iter(cards.values())) if len(cards) == 1 else {}
    for text, opener in lists.items():
        columns = columns_of_text(opener, text.name)
        for row in make_rows(columns, lines_of(opener, text.name), show(text)):
            _add(draft, files, row, text, names)
    labels = f"labels of {name_some(list(map(show, lists)))}"
    meant = f", named as in {_CARD} ({', '.join(names.values())})" if names else ""
    return draft.finish(f"{labels}{meant}, splits by column or folder", [*lists, *cards] if names else lists)


def _has_labels(text: PurePosixPath, opener: Opener) -> bool:
    columns = columns_of_text(opener, text.name)
    return any(column.endswith("file_name") for column in columns) and is_table_of_faces(columns)


def _add(draft: Draft, files: Files, row: Row, text: PurePosixPath, names: dict[str, str]) -> None:
    """Add the face of a row."""
    values = row.values
    path = values["path"].replace("\\", "/")
    file = text.parent / path
    if not path or not values["label"]:
        draft.faults.add(f"{show(text)}: a line lacks the file name or the label: {show(path or 'no name')}")
    elif file not in files.pictures:
        draft.missing.add(show(path))
    else:
        try:
            box = box_of(values) if row.boxed else None
        except ValueError:
            draft.faults.add(f"{show(text)}: the box of {show(path)} is not made of numbers")
            return
        split = split_named(values.get("split", "")) or find_split(file.parent)
        label = names.get(values["label"], values["label"])
        draft.add(ListedFace(file, label, split, values.get("group") or None, box, len(draft) + 1, values))


def _read_names(files: Files, lists: Iterable[PurePosixPath]) -> dict[PurePosixPath, dict[str, str]]:
    """Read the names of numbered labels from the heads of data set cards above the lists, by card."""
    above = {folder for text in lists for folder in text.parents}
    cards = [text for text in files.texts if text.name == _CARD and text.parent in above]
    found = {card: {match[1] for match in _NAMES.finditer(_read_head(files.texts[card]))} for card in cards}
    named = {card: dict(_NUMBERED.findall(names.pop())) for card, names in found.items() if len(names) == 1}
    return {card: {number: name.strip() for number, name in names.items()} for card, names in named.items()}


def _read_head(opener: Opener) -> str:
    """Read the first lines of a text; none if it cannot be read."""
    try:
        return "".join(f"{line.rstrip()}\n" for line in islice(read_lines(opener, _CARD), _LINES))
    except DataError:
        return ""
