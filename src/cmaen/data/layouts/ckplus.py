"""CK+ (Lucey et al., 2010): sequences from a neutral face to the peak of an emotion, 327 of which are labelled.

``cohn-kanade-images/S005/001/S005_001_00000011.png`` is a frame, and ``Emotion/S005/001/S005_001_00000011_emotion.txt``
holds the label of its sequence. As usual, the last three frames have that label, and the first frame is neutral. Copies
of the data set have those frames in class folders. S005 is a person.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

from cmaen.data.contents import Files
from cmaen.data.encodings import read_lines
from cmaen.data.layouts.base import (
    PERSON,
    Draft,
    ListedFace,
    Reading,
    lie_in_class_folders,
    match_names,
    show,
    show_whole_heads,
)
from cmaen.errors import DataError
from cmaen.types import CONTEMPT

NAME = "CK+"
NUMBERS = dict(enumerate(("neutral", "angry", CONTEMPT, "disgust", "fear", "happy", "sad", "surprise")))
PEAK = 3
"""Number of frames at the end of a sequence that show its emotion."""
_FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})", re.IGNORECASE)
_LABEL = re.compile(r"(S\d{3})_(\d{3})_\d{8}_emotion", re.IGNORECASE)


def find_ckplus(files: Files) -> Reading | None:
    """Recognise CK+ by its labels or by the names of its frames, see :class:`cmaen.data.layouts.base.Layout`."""
    labels = {text: found for text in files.texts if (found := _LABEL.fullmatch(text.stem)) is not None}
    if not labels:
        return _find_folders(files)
    frames = defaultdict(list)
    for file in files.pictures:
        if (match := _FRAME.fullmatch(file.stem)) is not None:
            frames[match[1].upper(), match[2]].append(file)
    draft, kept = Draft(NAME, files), []
    for text, match in sorted(labels.items()):
        person, sequence = match[1].upper(), match[2]
        try:
            label = _read_label(files, text)
        except DataError as error:
            draft.faults.add(str(error))
            continue
        shown = sorted(frames.get((person, sequence), ()), key=lambda file: file.stem)
        if not shown:
            draft.missing.add(f"{person}/{sequence}")
            continue
        kept += shown
        values = {PERSON: person, "sequence": sequence}
        for file in shown[max(1, len(shown) - PEAK) :]:
            draft.add(ListedFace(file, label, group=person, values=values))
        if len(shown) == 1:
            draft.add(ListedFace(shown[0], label, group=person, values=values))
        else:
            draft.add(ListedFace(shown[0], NUMBERS[0], group=person, values=values))
    return draft.finish(
        f"labels of {len(labels):,} sequences for their last {PEAK} frames, the first frame as neutral, people by "
        "name, no splits",
        labels,
        besides=kept,
        advice=show_whole_heads(files, kept),
    )


def _read_label(files: Files, text: PurePosixPath) -> str:
    """Read the emotion of a sequence, which is written like ``3.0000000e+00``.

    Raises:
        DataError: It is not a label.
    """
    where = show(text)
    written = "".join(read_lines(files.texts[text], where)).strip()
    try:
        return NUMBERS[int(float(written))]
    except (ValueError, KeyError, OverflowError) as error:
        raise DataError(f"{where}: {show(written)!r} is not a label; labels are 0 to 7") from error


def _find_folders(files: Files) -> Reading | None:
    """Recognise copies of the data set: class folders of its frames."""
    found = match_names(files, _FRAME)
    if not found or not lie_in_class_folders(files.pictures):
        return None
    draft = Draft(NAME, files)
    draft.add_class_folders(_FRAME, lambda match: {PERSON: match[1].upper(), "sequence": match[2]})
    return draft.finish("labels by folder, people by the names of the frames", advice=show_whole_heads(files, found))
