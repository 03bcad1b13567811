"""Subtitles that say what each face seems to show, as WebVTT: for the players of browsers, and for VLC."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from cmaen.drawing.lettering import write_percent
from cmaen.files import write_text
from cmaen.recordings.episodes import Episode
from cmaen.recordings.plain import name_plainly
from cmaen.recordings.recording import Recording

_NOTE = "NOTE Emotions that the faces seem to show, and the confidence; not what the people feel."


def write_subtitles(path: str | os.PathLike[str], recording: Recording, episodes: Sequence[Episode]) -> None:
    """Write episodes as WebVTT subtitles, whole or not at all.

    Each episode is a cue, spoken by the person's voice: "Ada: happy (87%)". Players show the cues of several people
    above one another. Times are rounded to milliseconds; a cue lasts one at least.

    Args:
        path: Path of the file, by convention ``.vtt``.
        recording: The recording.
        episodes: Its episodes, sorted by beginning, see :func:`cmaen.recordings.episodes.find_episodes`.

    Raises:
        OutputError: The file cannot be written; ``path`` is unchanged.
    """
    people = name_plainly(recording.people)
    emotions = name_plainly(dict.fromkeys(episode.emotion for episode in episodes))
    cues = [
        _write_cue(number, episode, people[episode.person], emotions[episode.emotion])
        for number, episode in enumerate(episodes, start=1)
    ]
    write_text(Path(path), "\n\n".join(["WEBVTT", _NOTE, *cues]) + "\n")


def _write_cue(number: int, episode: Episode, person: str, emotion: str) -> str:
    start = max(round(episode.start * 1000), 0)
    end = max(round(episode.end * 1000), start + 1)
    name = escape(person, quote=False)
    said = escape(f"{person}: {emotion} ({write_percent(episode.confidence)})", quote=False)
    text = f"<v {name}>{said}</v>"
    return f"{number}\n{_write_time(start)} --> {_write_time(end)}\n{text}"


def _write_time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"
