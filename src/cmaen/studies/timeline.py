"""Timelines of a report: what a person showed over time, as an inline SVG whose width a script can zoom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape as escape_html

import numpy as np
from numpy.typing import NDArray

from cmaen.recordings.recording import Appearance, Recording
from cmaen.studies.series import follow

LANE, RIBBON, APART = 20, 12, 4
"""Heights in units of the drawing: a lane, the ribbon of the answers above the lanes, and the space between them."""
_STEPS = 16
"""Number of heights that a lane can have."""
_POINTS = 24_000
"""Number of points in time of all timelines of a page together."""
_MOST, _FEWEST = 2400, 100
_LEAST = 1e-6
"""Part of a point below which the time seen in it is rounding."""


def choose_points(recording: Recording, timelines: int) -> int:
    """Choose the number of points in time of a recording's timelines, so that a page stays small.

    Args:
        recording: The recording.
        timelines: Number of timelines on the page.
    """
    return int(np.clip(min(_POINTS // max(timelines, 1), len(recording.times)), _FEWEST, _MOST))


def draw_timeline(recording: Recording, appearance: Appearance, points: int, places: Sequence[int], title: str) -> str:
    """Draw the timeline of a person as an ``<svg>`` element, ``points`` units wide.

    A ribbon in the colours of the answers is above the lanes of the emotions. It is pale while the network was unsure
    and empty while the person was not seen. The height of a lane is the mean probability.

    Args:
        recording: The recording.
        appearance: The person in it.
        points: Number of points in time, each a mean over its part of the recording.
        places: Class of the style for each label, by number; one more follows for uncertain answers.
        title: Text for screen readers.
    """
    series = follow(recording, appearance)
    start, end = span_of(recording)
    edges = np.linspace(start, end, points + 1)
    seen = series.integrate(series.seen, edges)[:, 0]  # [P]
    there = seen > _LEAST * (end - start) / points
    means = series.integrate(series.probabilities, edges) / np.where(there, seen, 1.0)[:, None]  # [P, E]
    answered = series.integrate(series.answered, edges)  # [P, E + 1]
    unsure = series.integrate(series.unsure[:, None].astype(float), edges)[:, 0] > 0.5 * seen  # [P]
    best = np.where(there, answered.argmax(axis=1), -1)  # [P]
    height = measure_height(means.shape[1])
    parts = [
        f'<path class="e{place}" d="{_draw_blocks(best == number)}"/>'
        for number, place in enumerate(places)
        if (best == number).any()
    ]
    if (unsure & there).any():
        parts.append(f'<path class="veil" d="{_draw_blocks(unsure & there)}"/>')
    levels = np.rint(np.where(there[:, None], means, 0.0) * _STEPS).astype(int)  # [P, E]
    for number, place in enumerate(places[: means.shape[1]]):
        low = RIBBON + (number + 1) * (LANE + APART)
        parts.append(f'<path class="floor" d="M0,{low}h{points}"/>')
        if levels[:, number].any():
            parts.append(f'<path class="e{place}" d="{_draw_area(levels[:, number], low)}"/>')
    return (
        f'<svg class="lanes" role="img" aria-label="{escape_html(title)}" viewBox="0 0 {points} {height}" '
        f'preserveAspectRatio="none" data-points="{points}" style="height:{height}px">{"".join(parts)}</svg>'
    )


def measure_height(lanes: int) -> int:
    """Measure the height of a drawing with this many lanes, in its units."""
    return RIBBON + lanes * (LANE + APART)


def span_of(recording: Recording) -> tuple[float, float]:
    """Find the beginning and the end of a recording in seconds; the end is always later."""
    if not len(recording.times):
        return 0.0, 1.0
    start, end = float(recording.times[0]), float(recording.times[-1] + recording.durations[-1])
    return start, end if end > start else start + 1.0


def _draw_blocks(there: NDArray[np.bool_]) -> str:
    """Draw the runs of points that are there as blocks of the ribbon."""
    return "".join(f"M{first},0h{last - first}v{RIBBON}h{first - last}z" for first, last in _find_runs(there))


def _find_runs(there: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    padded = np.concatenate([[False], there, [False]])
    changes = np.flatnonzero(np.diff(padded.astype(np.int8)))
    yield from zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)


def _draw_area(levels: NDArray[np.int_], low: int) -> str:
    """Draw a lane of steps above a line; equal neighbours are drawn as one."""
    unit = LANE / _STEPS
    starts = np.concatenate([[0], np.flatnonzero(np.diff(levels)) + 1])
    widths = np.diff(np.append(starts, len(levels)))
    heights = levels[starts]
    rises = np.diff(heights, prepend=0)
    steps = "".join(
        f"{f'v{-rise * unit:g}' if rise else ''}h{width}"
        for rise, width in zip(rises.tolist(), widths.tolist(), strict=True)
    )
    return f"M0,{low}{steps}V{low}z"
