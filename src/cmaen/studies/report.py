"""The report on recordings: one page, and the same as data beside it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cmaen import __version__
from cmaen.errors import OutputError, VideoError
from cmaen.files import check_place, write_text
from cmaen.naming import make_unique
from cmaen.recordings.recording import Recording
from cmaen.studies.comparison import UNITS, Comparison, Unit, compare
from cmaen.studies.events import Events
from cmaen.studies.page import Study, write_page
from cmaen.studies.people import RecordingSummary, list_episodes, list_shares, summarise_recording
from cmaen.studies.thumbnails import Thumbnail, cut_peaks, find_video

SUFFIXES = (".html", ".htm")
EPISODES = ("recording", "person", "emotion", "start", "end", "peak", "height", "confidence")
SHARES = (
    *("recording", "person", "emotion", "seconds", "share", "low", "high", "mean"),
    *("seen", "unsure", "absent"),
)
DIFFERENCES = (
    *("factor", "emotion", "first", "second", "paired", "people_first", "people_second", "difference"),
    *("low", "high", "p_value", "adjusted_p_value", "significant"),
)
"""Columns of the three tables; times are in seconds, shares in [0, 1]."""


def list_places(path: str | os.PathLike[str]) -> dict[str, Path]:
    """List the files that a report has, by kind: ``page``, ``data``, ``episodes``, ``shares`` and ``differences``.

    Args:
        path: Path of the page; the other files stand beside it and begin with its name.

    Raises:
        OutputError: The path does not end in ``.html``.
    """
    page = Path(path)
    if page.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{page}: a report is written as .html")
    return {
        "page": page,
        "data": page.with_suffix(".json"),
        **{kind: page.with_name(f"{page.stem}-{kind}.csv") for kind in ("shares", "episodes", "differences")},
    }


def write_report(
    recordings: Iterable[Recording],
    path: str | os.PathLike[str],
    *,
    events: Events | None = None,
    unit: Unit = "name",
    thumbnails: bool = False,
    beside: Sequence[Path | None] = (),
    notes: Sequence[str] = (),
) -> list[Path]:
    """Write the report on recordings: the page, the same as JSON, and its shares, episodes and differences as CSV.

    The page is one file that loads nothing from elsewhere. It holds no picture of a face unless ``thumbnails`` is set.

    Args:
        recordings: Recordings, see :func:`cmaen.recordings.recording.read_recordings`.
        path: Path of the page, which ends in ``.html``. The other files stand beside it: ``report.json``,
            ``report-shares.csv``, ``report-episodes.csv`` and, with events, ``report-differences.csv``.
        events: Events to compare people by, see :func:`cmaen.studies.events.read_events`.
        unit: What counts as one person in comparisons, see :data:`cmaen.studies.comparison.Unit`.
        thumbnails: Whether to show the faces at the clearest moments, cut from the videos. A recording whose video
            cannot be read has none, and the page says so.
        beside: Folder in which the video of each recording may also be; empty for none.
        notes: Sentences on what was left out before.

    Returns:
        The paths of the files.

    Raises:
        OutputError: A file cannot be written, or the path does not end in ``.html``.
        MissingExtraError: Thumbnails need an extra that is not installed.
        ValueError: There are no recordings, or the unit does not exist.
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")
    places = list_places(path)
    for place in places.values():
        check_place(place)
    given = list(recordings)
    if not given:
        raise ValueError("a report needs at least one recording")
    names = make_unique([recording.name for recording in given])
    summaries = tuple(
        summarise_recording(replace(recording, name=name)) for recording, name in zip(given, names, strict=True)
    )
    comparison = compare([summary.recording for summary in summaries], events, unit=unit)
    told = [*notes, *_list_problems(summaries, comparison, events)]
    pictures: dict[int, Mapping[str, Sequence[Thumbnail]]] = {}
    if thumbnails:
        folders = [*beside, *[None] * len(given)]
        for number, (recording, summary) in enumerate(zip(given, summaries, strict=True)):
            pictures[number] = _cut(recording, summary, folders[number], told)
    study = Study(summaries, comparison, events, pictures, tuple(told))
    contents = {
        "page": write_page(study),
        "data": _write_json(study),
        "shares": _write_csv(SHARES, list_shares(summaries)),
        "episodes": _write_csv(EPISODES, list_episodes(summaries)),
    }
    if comparison.contrasts:
        contents["differences"] = _write_csv(DIFFERENCES, _list_differences(comparison))
    for kind, text in contents.items():
        write_text(places[kind], text)
    return [places[kind] for kind in contents]


def _cut(
    recording: Recording, summary: RecordingSummary, beside: Path | None, told: list[str]
) -> Mapping[str, Sequence[Thumbnail]]:
    """Cut out thumbnails, or say why there are none."""
    video = find_video(recording, beside)
    if video is None:
        told.append(f"{recording.name} was not found, so there are no thumbnails of it")
        return {}
    try:
        return cut_peaks(summary, video)
    except VideoError as error:
        told.append(f"there are no thumbnails: {error}")
        return {}


def _list_problems(
    summaries: Sequence[RecordingSummary], comparison: Comparison, events: Events | None
) -> Iterator[str]:
    """Say what could not be read or compared."""
    for summary in summaries:
        recording = summary.recording
        if recording.failed:
            yield f"{recording.name}: {recording.failed:,} frames without an answer because of an error"
        if recording.left_out:
            yield f"{recording.name}: {recording.left_out:,} rows that could not be read"
    schemes = {summary.recording.scheme for summary in summaries if summary.people and summary.recording.scheme}
    if len(schemes) > 1:
        yield f"the recordings have different label schemes, {', '.join(sorted(schemes))}: do not compare them"
    others = {label for summary in summaries for label in summary.recording.labels} - set(comparison.labels)
    if others and comparison.factors:
        yield f"{', '.join(sorted(others))}: not compared, because not all recordings have them"
    if events is not None:
        yield from events.left_out
        for file in events.find_unmatched(summary.recording.name for summary in summaries):
            yield f"the events name {file}, which is none of the recordings"


def _write_json(study: Study) -> str:
    values: dict[str, Any] = {
        "cmaen": __version__,
        "recordings": [summary.to_dict() for summary in study.summaries],
        "comparison": study.comparison.to_dict(),
        "left_out": list(study.notes),
    }
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode(errors="backslashreplace").decode()  # half characters become the escapes that JSON has for them


def _write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _shorten(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _shorten(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return f"{value:.8g}" if isinstance(value, float) else value


def _list_differences(comparison: Comparison) -> Iterator[Mapping[str, Any]]:
    for factor in comparison.factors:
        for one in factor.contrasts:
            low, high = one.interval or (None, None)
            yield {
                "factor": factor.name,
                "emotion": one.emotion,
                "first": one.first,
                "second": one.second,
                "paired": one.paired,
                "people_first": one.people[0],
                "people_second": one.people[1],
                "difference": one.difference,
                "low": low,
                "high": high,
                "p_value": one.p_value,
                "adjusted_p_value": one.adjusted,
                "significant": one.is_significant,
            }
