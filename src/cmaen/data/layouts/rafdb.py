"""RAF-DB (Li et al., CVPR 2017), basic emotions: one list of labels 1 to 7 for both splits, and aligned pictures.

``EmoLabel/list_patition_label.txt`` has lines like ``train_00001.jpg 5``; the face of that line is
``Image/aligned/train_00001_aligned.jpg``. Copies of the data set have folders ``train/5/`` in place of the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from cmaen.data.contents import Files
from cmaen.data.encodings import read_lines
from cmaen.data.layouts.base import (
    Draft,
    ListedFace,
    Reading,
    lie_in_class_folders,
    match_names,
    show,
    show_whole_heads,
)
from cmaen.data.splits import split_named
from cmaen.errors import DataError

NAME = "RAF-DB"
LISTS = ("list_patition_label.txt", "list_partition_label.txt")
"""The name of the list, as it is published and as it is spelt."""
NUMBERS = {"1": "surprise", "2": "fear", "3": "disgust", "4": "happy", "5": "sad", "6": "angry", "7": "neutral"}
_COMPOUND = "compound"
_ALIGNED = "_aligned"
_PLACES = ("aligned", "original")
"""Folders of the pictures in the data set as it is published."""
_PICTURE = re.compile(r"(train|test)_\d+(_aligned)?", re.IGNORECASE)


def find_rafdb(files: Files) -> Reading | None:
    """Recognise RAF-DB by its list or by the names of its pictures, see :class:`cmaen.data.layouts.base.Layout`."""
    lists = [text for text in files.texts if text.name.lower() in LISTS]
    if not lists:
        return _find_folders(files)
    basic = [text for text in lists if not _is_compound(text)]
    if not basic:
        raise DataError(
            f"{show(lists[0])} lists RAF-DB's compound emotions, such as happily surprised, which are none of the "
            "seven; give the folder that holds basic/"
        )
    draft = Draft(NAME, files)
    compound = [file for file in files.pictures if _is_compound(file)]
    by_stem = _index(file for file in files.pictures if not _is_compound(file))
    for text in basic:
        for number, line in enumerate(read_lines(files.texts[text], show(text)), 1):
            if line.strip():
                _add(draft, line, f"{show(text)}, line {number}", by_stem)
    found = {stem.removesuffix(_ALIGNED) for stem in by_stem}
    originals = [file for file in files.pictures if not file.stem.lower().endswith(_ALIGNED)]
    twice = [file for file in originals if file.stem.lower() in found and by_stem[file.stem.lower()] != file]
    reading = draft.finish(
        f"labels 1 to 7 of {show(basic[0])}, splits by the names of the pictures", basic, besides=[*compound, *twice]
    )
    return _advise(reading, files)


def _is_compound(file: PurePosixPath) -> bool:
    return _COMPOUND in map(str.lower, file.parts)


def _index(files: Iterable[PurePosixPath]) -> dict[str, PurePosixPath]:
    """Index pictures by their names in the list, in lower case without suffix; an aligned one replaces its original."""
    found: dict[str, PurePosixPath] = {}
    for file in files:
        stem = file.stem.lower()
        if stem.endswith(_ALIGNED):
            found[stem.removesuffix(_ALIGNED)] = file
        else:
            found.setdefault(stem, file)
    return found


def _add(draft: Draft, line: str, where: str, by_stem: dict[str, PurePosixPath]) -> None:
    """Add the face of a line."""
    fields = re.split(r"[\s,;]+", line.strip())
    if len(fields) != 2:
        draft.faults.add(f"{where}: {show(line.strip())!r} is not a name and a label")
        return
    name, label = fields
    split = split_named(name.partition("_")[0])
    if label not in NUMBERS:
        draft.faults.add(f"{where}: {show(label)!r} is not a label; labels are 1 to 7")
    elif split is None:
        draft.faults.add(f"{where}: {show(name)} begins neither with train_ nor with test_")
    elif (file := by_stem.get(PurePosixPath(name).stem.lower())) is None:
        draft.missing.add(show(name))
    else:
        draft.add(ListedFace(file, NUMBERS[label], split))


def _find_folders(files: Files) -> Reading | None:
    """Recognise copies of the data set: folders 1 to 7, whose pictures are named as in RAF-DB."""
    found = match_names(files, _PICTURE)
    if found and all(file.parent.name.lower() in _PLACES for file in found):
        raise DataError(
            f"these pictures are RAF-DB's, but {LISTS[0]}, which tells their labels, is missing: give the folder that "
            "holds EmoLabel/ and Image/"
        )
    if not found or lie_in_class_folders(found) or not any(file.parent.name in NUMBERS for file in found):
        return None
    draft = Draft(NAME, files)
    for file, match in found.items():
        if file.parent.name in NUMBERS:
            draft.add(ListedFace(file, NUMBERS[file.parent.name], split_named(match[1])))
        else:
            draft.faults.add(f"{show(file)}: {show(file.parent.name)!r} is not a label; labels are 1 to 7")
    return _advise(draft.finish("labels by the folders 1 to 7, splits by the names of the pictures"), files)


def _advise(reading: Reading, files: Files) -> Reading:
    return replace(reading, advice=show_whole_heads(files, (face.file for face in reading.faces)))
