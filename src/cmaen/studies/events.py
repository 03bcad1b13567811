"""Events of a study: what was shown in which part of a recording, and which group a recording belongs to."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath

from cmaen.data.encodings import open_file
from cmaen.data.table import find_columns, header_of, lines_of
from cmaen.errors import EventsError, shorten

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "event", "stimulus", "condition", "trial_type"),
    "start": ("start", "onset", "begin"),
    "end": ("end", "offset", "stop"),
    "duration": ("duration",),
    "file": ("file", "path", "video", "recording", "filename"),
    "group": ("group",),
}
"""Accepted names of each column, whose case does not matter; instead of ``end`` a file may have ``duration``."""
_NONE = ("", "n/a", "na", "nan")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:[.,]\d+)?)")
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Event:
    """A part of a recording.

    Attributes:
        name: What was shown, or the condition; empty if the event only tells the group.
        start, end: Beginning and end in seconds of the video; the end may be infinite.
        file: Name of the recording; ``None`` for every recording.
        group: Group that the recording belongs to; ``None`` if it is not told.
    """

    name: str
    start: float = 0.0
    end: float = math.inf
    file: str | None = None
    group: str | None = None

    def concerns(self, recording: str) -> bool:
        """Whether the event is one of the recording with this name: its path, its file name, or that without suffix."""
        if self.file is None:
            return True
        wanted, there = PureWindowsPath(self.file), PureWindowsPath(recording)  # which splits at both separators
        if len(wanted.parts) > 1 and len(there.parts) > 1:
            fewer = min(len(wanted.parts), len(there.parts))
            return wanted.parts[-fewer:] == there.parts[-fewer:]
        return wanted.name in (there.name, there.stem)


@dataclass(frozen=True)
class Events:
    """The events of a file.

    Attributes:
        events: Events in the order of the file.
        left_out: A sentence for each row that could not be read.
    """

    events: tuple[Event, ...] = ()
    left_out: tuple[str, ...] = ()

    def find_unmatched(self, recordings: Iterable[str]) -> list[str]:
        """Find the files that events name and that are none of the recordings with these names."""
        names = list(recordings)
        files = dict.fromkeys(event.file for event in self.events if not any(map(event.concerns, names)))
        return [file for file in files if file is not None]


def read_events(path: str | os.PathLike[str]) -> Events:
    """Read the events of a study.

    The columns are ``name``, ``start`` and ``end`` in seconds or as 1:05, optionally ``file`` (an event without one
    happens in every recording) and ``group``. Without ``start`` and ``end`` an event is a whole recording. The events
    of BIDS are read as well: ``onset``, ``duration`` and ``trial_type``.

    Args:
        path: CSV or TSV, which a spreadsheet may have saved: with commas, semicolons or tabs, decimal commas, a byte
            order mark or in UTF-16.

    Raises:
        EventsError: The file cannot be read, lacks the columns, or has no event that can be used.
    """
    path = Path(path)
    opener, where = partial(open_file, path), str(path)
    try:
        header = header_of(opener, where)
        meant = find_columns(header.columns, COLUMNS)
        if not {"name", "group"} & set(meant):
            raise EventsError(
                f"{where} has neither a column name nor a column group; an events file has name, start and end, and "
                f"optionally file and group; this one has {shorten(', '.join(header.columns), 200) or 'none'}"
            )
        lines = [
            (number, {meaning: line.get(column, "") for meaning, column in meant.items()})
            for number, line in lines_of(opener, where)
        ]
    except EventsError:
        raise
    except Exception as error:
        raise EventsError(f"{where} cannot be read as events: {error}") from error
    return _make_events(lines, where)


def _make_events(lines: Sequence[tuple[int, dict[str, str]]], where: str) -> Events:
    events, left_out = [], []
    for number, line in lines:
        if not any(line.values()):
            continue
        try:
            events.append(_make_event(line))
        except ValueError as error:
            left_out.append(f"row {number} of the events was left out: {error}")
    if not events:
        raise EventsError(f"{where} has no event that can be used" + (f"; {left_out[0]}" if left_out else ""))
    return Events(tuple(events), tuple(left_out))


def _make_event(line: Mapping[str, str]) -> Event:
    """Make an event of a row.

    Raises:
        ValueError: It is none.
    """
    name, group, file = (_read_text(line.get(key, "")) for key in ("name", "group", "file"))
    if not name and not group:
        raise ValueError("it has neither a name nor a group")
    start = _read_time(line.get("start", ""))
    end = _read_time(line.get("end", ""))
    length = _read_time(line.get("duration", ""))
    start = 0.0 if start is None else start
    if end is None:
        end = math.inf if length is None else start + length
    if not end > start:
        raise ValueError(f"its end, {end:g} s, is not after its start, {start:g} s")
    return Event(name or "", start, end, file, group)


def _read_text(text: str) -> str | None:
    text = " ".join(text.split())
    return None if text.lower() in _NONE else text[:_LONGEST_NAME]


def _read_time(text: str) -> float | None:
    """Read seconds, with a decimal point or comma, or a time such as 1:05 or 1:00:05.5; ``None`` for an empty cell.

    Raises:
        ValueError: It is no time.
    """
    text = text.strip()
    if text.lower() in _NONE:
        return None
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = clock.groups(default="0")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds.replace(",", "."))
    try:
        seconds_ = float(text.replace(",", ".") if text.count(",") == 1 else text)
    except ValueError:
        seconds_ = math.nan
    if not 0 <= seconds_ < math.inf:
        raise ValueError(f"{shorten(text, 40)!r} is not a time in seconds")
    return seconds_


def list_spans(events: Iterable[Event]) -> list[tuple[float, float]]:
    """Join the spans of time of events, so that no moment counts twice, in the order of time."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted((event.start, event.end) for event in events):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def list_levels(events: Iterable[Event], factor: str) -> Iterator[str]:
    """List the different names or groups of events, in their order.

    Args:
        events: Events.
        factor: ``name`` or ``group``.
    """
    yield from dict.fromkeys(level for event in events if (level := getattr(event, factor)))
