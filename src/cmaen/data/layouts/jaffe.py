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
    draft, by_folder = Draft(NAME, files), lie_in_class_folders(found)
    for file, match in found.items():
        label, person = file.parent.name if by_folder else CODES[match[2].upper()], match[1].upper()
        draft.add(ListedFace(file, label, find_split(file.parent), person, values={PERSON: person}))
    told = "labels by folder, people" if by_folder else "labels and people"
    return draft.finish(f"{told} by the names of the pictures")
