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
    draft, by_folder = Draft(NAME, files), lie_in_class_folders(found)
    for file, match in found.items():
        session, person, emotion, angle = (part.upper() for part in match.groups())
        label = file.parent.name if by_folder else CODES[emotion]
        values = {PERSON: person, "session": session, "angle": ANGLES[angle]}
        draft.add(ListedFace(file, label, find_split(file.parent), person, values=values))
    told = "labels by folder, people" if by_folder else "labels, people"
    return draft.finish(f"{told} and angles by the names of the pictures", advice=show_whole_heads(files, found))
