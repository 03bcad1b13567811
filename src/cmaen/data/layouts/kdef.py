"""KDEF (Lundqvist et al., 1998): 70 people from five angles, twice, with all of it in the name, like ``AF01ANS.JPG``.

The letters are the session (A, B), the person (F or M and a number), the emotion and the angle. Both sessions show the
same people.
"""

from __future__ import annotations

import re

from cmaen.data.contents import Files
from cmaen.data.layouts.base import (
    PERSON,
    Draft,
    ListedFace,
    Reading,
    find_split,
    lie_in_class_folders,
    match_names,
    show_whole_heads,
)

NAME = "KDEF"
CODES = {
    "AF": "fear",
    "AN": "angry",
    "DI": "disgust",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprise",
}
ANGLES = {"FL": "full left", "HL": "half left", "S": "straight", "HR": "half right", "FR": "full right"}
_PICTURE = re.compile(rf"([AB])([FM]\d\d)({'|'.join(CODES)})({'|'.join(ANGLES)})", re.IGNORECASE)


def find_kdef(files: Files) -> Reading | None:
    """Recognise KDEF by the names of its pictures, see :class:`cmaen.data.layouts.base.Layout`."""
    found = match_names(files, _PICTURE)
    if not found:
        return None
    draft, advice = Draft(NAME, files), show_whole_heads(files, found)
    if lie_in_class_folders(files.pictures):
        draft.add_class_folders(_PICTURE, _tell)
        return draft.finish("labels by folder, people and angles by the names of the pictures", advice=advice)
    for file, match in found.items():
        values = _tell(match)
        draft.add(ListedFace(file, CODES[match[3].upper()], find_split(file.parent), values[PERSON], values=values))
    return draft.finish("labels, people and angles by the names of the pictures", advice=advice)


def _tell(match: re.Match[str]) -> dict[str, str]:
    return {PERSON: match[2].upper(), "session": match[1].upper(), "angle": ANGLES[match[4].upper()]}
