"""Events of the Brain Imaging Data Structure: ``*_events.tsv`` and the JSON that describes its columns."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cmaen.files import replace_file
from cmaen.naming import make_unique
from cmaen.recordings.episodes import Episode
from cmaen.recordings.plain import NOBODY, name_plainly
from cmaen.recordings.recording import Recording

COLUMNS = ("onset", "duration", "trial_type", "person", "confidence")
"""Columns of the table, in the order that BIDS asks for."""
_MISSING = "n/a"
_LOOK_MISSING = frozenset({"", "n/a", "na", "nan", "none", "null", "<na>", "#na", "#n/a"})
"""Texts, in lower case, that BIDS or readers of tables take for a missing value."""
_DIGITS = 4
"""Decimal places of seconds and confidences."""


def find_sidecar(path: Path) -> Path:
    """Return the path of the JSON that describes the columns of an events table; it lies beside the table."""
    return path.with_suffix(".json")


def write_bids(path: str | os.PathLike[str], recording: Recording, episodes: Sequence[Episode]) -> None:
    """Write episodes as a table of BIDS events and the JSON that describes it, both whole or none at all.

    Each episode is a row with :data:`COLUMNS`, in seconds of the video; a missing value is ``n/a``. The cells are never
    quoted, as BIDS demands: a name keeps to one line, its double quotes become single ones, and a name that would be
    read as missing, such as the initials NA, is preceded by "person".

    Args:
        path: Path of the table, which ends in ``_events.tsv``; the JSON is ``_events.json`` beside it.
        recording: The recording.
        episodes: Its episodes, sorted by beginning, see :func:`cmaen.recordings.episodes.find_episodes`.

    Raises:
        OutputError: A file cannot be written.
    """
    path = Path(path)
    people = _make_cells(recording.people)
    emotions = _make_cells(dict.fromkeys((*recording.labels, *(episode.emotion for episode in episodes))))
    rows = [COLUMNS]
    for episode in episodes:
        onset, duration, confidence = map(_write_number, (episode.start, episode.seconds, episode.confidence))
        rows.append((onset, duration, emotions[episode.emotion], people[episode.person], confidence))
    description = json.dumps(_describe_columns(list(emotions.values())), ensure_ascii=False, indent=2)
    with replace_file(path) as table, replace_file(find_sidecar(path)) as sidecar:
        sidecar.write_text(description + "\n", encoding="utf-8", newline="\n")
        table.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8", newline="\n")


def _make_cells(names: Iterable[str]) -> dict[str, str]:
    """Give each name a text of its own that a cell without quotes can hold, and that nobody reads as missing."""
    plain = name_plainly(names)
    cells = [text.replace('"', "'") for text in plain.values()]
    cells = [f"{NOBODY} {text}" if text.lower() in _LOOK_MISSING else text for text in cells]
    return dict(zip(plain, make_unique(cells), strict=True))


def _write_number(value: float) -> str:
    return f"{value:.{_DIGITS}f}" if math.isfinite(value) else _MISSING


def _describe_columns(emotions: Sequence[str]) -> dict[str, Any]:
    return {
        "onset": {
            "LongName": "Beginning of the episode",
            "Description": "Time at which the face begins to show the emotion, from the beginning of the video",
            "Units": "s",
        },
        "duration": {
            "LongName": "Duration of the episode",
            "Description": "Time for which the face shows the emotion",
            "Units": "s",
        },
        "trial_type": {
            "LongName": "Emotion",
            "Description": "Emotion that the face seems to show, as recognised by CMAEN; not what the person feels",
            "Levels": {name: f"The most probable emotion is {name}" for name in emotions},
        },
        "person": {
            "LongName": "Person",
            "Description": "Name or number of the person whose face it is",
        },
        "confidence": {
            "LongName": "Mean confidence",
            "Description": "Mean probability that the answer is right, over the frames of the episode, from 0 to 1",
        },
    }
