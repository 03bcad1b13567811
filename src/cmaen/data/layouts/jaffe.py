"""JAFFE (Lyons et al., 1998): 213 pictures of ten women, with person and label in the name, like ``KA.AN1.39.tiff``."""

from __future__ import annotations

import re

from cmaen.data.contents import Files
from cmaen.data.layouts.base import PERSON, Draft, ListedFace, Reading, find_split, lie_in_class_folders, match_names

NAME = "JAFFE"
CODES = {
    "AN": "angry",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprise",
}
_PICTURE = re.compile(rf"([A-Z]{{2}})\.({'|'.join(CODES)})\d\.+\d+", re.IGNORECASE)


def find_jaffe(files: Files) -> Reading | None:
    """Recognise JAFFE by the names of its pictures, see :class:`cmaen.data.layouts.base.Layout`."""
    found = match_names(files, _PICTURE)
    if not found:
        return None
    draft = Draft(NAME, files)
    if lie_in_class_folders(files.pictures):
        draft.add_class_folders(_PICTURE, _tell)
        return draft.finish("labels by folder, people by the names of the pictures")
    for file, match in found.items():
        values = _tell(match)
        draft.add(ListedFace(file, CODES[match[2].upper()], find_split(file.parent), values[PERSON], values=values))
    return draft.finish("labels and people by the names of the pictures")


def _tell(match: re.Match[str]) -> dict[str, str]:
    return {PERSON: match[1].upper()}
