"""ExpW (Zhang et al., IJCV 2018): photographs with ``label.lst``, which has a box and a label 0 to 6 for each face.

A line is ``name face top left right bottom confidence label``. Faces of one photograph are a group.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from cmaen.data.contents import Files
from cmaen.data.encodings import read_lines
from cmaen.data.layouts.base import Draft, ListedFace, Reading, show
from cmaen.data.table import check_box

NAME = "ExpW"
LIST = "label.lst"
NUMBERS = dict(zip("0123456", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"), strict=True))
_FIELDS = 8


def find_expw(files: Files) -> Reading | None:
    """Recognise ExpW by its list, see :class:`cmaen.data.layouts.base.Layout`."""
    lists = [text for text in files.texts if text.name.lower() == LIST]
    if not lists:
        return None
    draft = Draft(NAME, files)
    by_name = {file.name.lower(): file for file in files.pictures}
    for text in lists:
        for number, line in enumerate(read_lines(files.texts[text], show(text)), 1):
            if line.strip():
                _add(draft, line, number, show(text), by_name)
    return draft.finish(f"labels 0 to 6 and boxes of {show(lists[0])}, no splits", lists)


def _add(draft: Draft, line: str, number: int, text: str, by_name: dict[str, PurePosixPath]) -> None:
    """Add the face of a line; the name of its picture may have spaces."""
    fields = line.strip().rsplit(maxsplit=_FIELDS - 1)
    where = f"{text}, line {number}"
    if len(fields) != _FIELDS:
        draft.faults.add(f"{where}: {show(line.strip())!r} has {len(fields)} of {_FIELDS} fields")
        return
    name, _, *edges, _, label = fields
    if label not in NUMBERS:
        draft.faults.add(f"{where}: {show(label)!r} is not a label; labels are 0 to 6")
        return
    if (file := by_name.get(name.replace("\\", "/").rpartition("/")[2].lower())) is None:
        draft.missing.add(show(name))
        return
    try:
        top, left, right, bottom = map(float, edges)
        box = check_box(left, top, right - left, bottom - top)
    except ValueError:
        draft.faults.add(f"{where}: its box is not made of numbers")
        return
    draft.add(ListedFace(file, NUMBERS[label], group=name, box=box, row=number))
