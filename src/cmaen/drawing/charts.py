"""Charts of answers, without matplotlib: each person's emotions over time, and the number of faces per emotion."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmaen.drawing.lettering import write_count, write_label, write_percent, write_time
from cmaen.drawing.sheets import GRID, INK, MUTED, Sheet, blend
from cmaen.drawing.style import colour_of
from cmaen.types import Image

MOST_LANES = 8
"""Maximum number of lanes: the seven emotions and contempt, or the most frequent of more labels."""
MOST_BARS = 20
PORTRAIT = 112
"""Side of a person's portrait, in pixels."""
_WIDTH, _MARGIN = 1600, 40
_LANE, _LOW_LANE, _FEW, _APART, _BETWEEN = 38, 26, 4, 4, 34
_LEFT, _RIGHT = 340, _WIDTH - 150
"""Sizes in pixels: height of a lane, and its height with more than a few people, the number of people that counts as
few, space below a lane, space between people; left and right end of the lanes."""
_NAME = PORTRAIT + 12
"""Largest width of a name, which is then shortened."""
_FILL = 0.38
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_TICKS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """Data of one person in a timeline.

    Attributes:
        identity: Number of the person, from 1.
        means: Mean probabilities in each time bin, in [0, 1], float64 [B, C]; NaN while the person was not seen.
        unsure: Share of unsure answers in each bin, in [0, 1], float64 [B]; NaN while the person was not seen.
        shares: Mean probabilities over the whole time, float64 [C].
        seconds: Time for which the person was seen, in seconds.
        portrait: Portrait, RGB uint8 [:data:`PORTRAIT`, :data:`PORTRAIT`, 3], or ``None``.
        name: Name of a recognised person; ``None`` if people are not recognised.
    """

    identity: int
    means: NDArray[np.float64]
    unsure: NDArray[np.float64]
    shares: NDArray[np.float64]
    seconds: float
    portrait: Image | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts in a chart of many images.

    Attributes:
        sure, unsure: Number of faces by their most probable label.
        pictures: Number of all images.
        empty: Number of images without a face.
        errors: Number of images without an answer.
        noun: Word for the images: ``picture`` or ``frame``.
    """

    sure: Mapping[str, int]
    unsure: Mapping[str, int]
    pictures: int
    empty: int = 0
    errors: int = 0
    noun: str = "picture"


def draw_timeline(
    people: Sequence[Lanes], classes: Sequence[str], *, begins: float, step: float, title: str = ""
) -> Sheet:
    """Draw one lane per person and label: its height is the probability from 0 to 100%, the mean is at the right.

    Args:
        people: People, from top to bottom.
        classes: Labels of the network.
        begins: Start of the first bin, in seconds.
        step: Width of a bin, in seconds.
        title: Title of the timeline, such as the name of the video.

    Returns:
        A sheet, 1600 pixels wide.
    """
    shown = _choose_lanes(people, len(classes))
    bins = max((len(person.means) for person in people), default=0)
    lane = _LANE if len(people) <= _FEW else _LOW_LANE
    block = len(shown) * (lane + _APART) + 22
    each, top = max(block, PORTRAIT + 56) + _BETWEEN, 128
    height = top + max(1, len(people)) * each + 30
    sheet = Sheet(_WIDTH, height)
    seconds = bins * step
    sheet.write(_MARGIN, 34, f"Emotions over time: {title}" if title else "Emotions over time", 30, most=_WIDTH - 80)
    lanes = "" if len(shown) == len(classes) else f"the {len(shown)} most frequent of {len(classes)} labels, "
    told = f"{write_time(seconds)} · {write_count(len(people), 'person', 'people')} · {lanes}each lane from 0 to 100%"
    sheet.write(_MARGIN, 76, told if people else "No face was found.", 18, MUTED)
    if people:
        sheet.write(_RIGHT + 20, 104, "mean", 16, MUTED)
    for number, person in enumerate(people):
        high = top + number * each
        _draw_person(sheet, person, classes, shown, lane, high, bins, begins, step)
    if people:
        low = high + block + 8
        for second in choose_ticks(begins, begins + seconds):
            x = _LEFT + (second - begins) / seconds * (_RIGHT - _LEFT)
            sheet.write(x, low, write_time(second, exact=True), 16, MUTED, anchor="ma")
    return sheet


def _choose_lanes(people: Sequence[Lanes], count: int) -> list[int]:
    """Choose the labels that get a lane, in their order."""
    if count <= MOST_LANES:
        return list(range(count))
    sums = np.sum([person.shares for person in people], axis=0) if people else np.zeros(count)
    return sorted(np.argsort(-sums, kind="stable")[:MOST_LANES].tolist())


def _draw_person(
    sheet: Sheet,
    person: Lanes,
    classes: Sequence[str],
    shown: Sequence[int],
    lane: int,
    top: int,
    bins: int,
    begins: float,
    step: float,
) -> None:
    if person.portrait is not None:
        sheet.paste(person.portrait, _MARGIN, top)
    below = top + (0 if person.portrait is None else PORTRAIT + 8)
    sheet.write(_MARGIN, below, person.name or f"person {person.identity}", 20, most=_NAME)
    sheet.write(_MARGIN, below + 26, f"seen for {write_time(person.seconds)}", 15, MUTED)
    scale = (_RIGHT - _LEFT) / bins
    best = int(np.argmax(person.shares))
    bottom = top + len(shown) * (lane + _APART) - _APART
    for second in choose_ticks(begins, begins + bins * step):
        x = _LEFT + (second - begins) / step * scale
        sheet.line([(x, top), (x, bottom)], GRID, 1)
    for place, label in enumerate(shown):
        high = top + place * (lane + _APART)
        low = high + lane
        middle = low - lane // 2
        sheet.line([(_LEFT, low), (_RIGHT, low)], GRID, 1)
        colour, weight = colour_of(classes[label], classes), INK if label == best else MUTED
        sheet.bar(180, middle - 5, 190, middle + 5, colour)
        sheet.write(200, middle + 6, write_label(classes[label], label, 14), 17, weight, anchor="ls")
        sheet.write(_RIGHT + 20, middle + 6, write_percent(float(person.shares[label])), 18, weight, anchor="ls")
        for start, end in find_runs(person.means[:, label]):
            values = person.means[start:end, label]
            across = _LEFT + (np.arange(start, end) + 0.5) * scale
            across = np.concatenate([[_LEFT + start * scale], across, [_LEFT + end * scale]])
            upper = low - np.concatenate([values[:1], values, values[-1:]]) * (lane - 2)
            curve = list(zip(across.tolist(), upper.tolist(), strict=True))
            sheet.fill([(across[0], low), *curve, (across[-1], low)], blend(colour, _FILL))
            sheet.line(curve, colour, 2)
    sheet.write(_LEFT - 8, top + 2, "100%", 12, MUTED, anchor="rt")
    sheet.write(_LEFT - 8, top + lane, "0", 12, MUTED, anchor="rs")
    _draw_unsure(sheet, person, bottom + 14, scale)


def _draw_unsure(sheet: Sheet, person: Lanes, row: int, scale: float) -> None:
    """Draw dashes below the lanes where most answers were unsure."""
    unsure = np.where(person.unsure >= 0.5, 1.0, np.nan)
    if not np.isfinite(unsure).any():
        return
    for start, end in find_runs(unsure):
        left, right = _LEFT + start * scale, _LEFT + end * scale
        for dash in np.arange(left, right, 10.0):
            sheet.bar(float(dash), row - 2, min(float(dash) + 6, right), row + 2, MUTED)
    sheet.write(200, row + 5, "unsure", 14, MUTED, anchor="ls")
    seen = person.unsure[np.isfinite(person.unsure)]
    sheet.write(_RIGHT + 20, row + 6, write_percent(float((seen >= 0.5).mean())), 16, MUTED, anchor="ls")


def find_runs(values: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Yield the runs of numbers between gaps of NaN, as the first index and the one after the last."""
    there = np.isfinite(values).astype(np.int8)
    edges = np.flatnonzero(np.diff(there, prepend=0, append=0))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def choose_ticks(begins: float, ends: float) -> list[float]:
    """Choose round times between two times, in seconds, about a dozen at most."""
    span = max(ends - begins, 1e-9)
    step = next((step for step in _STEPS if span / step <= _MOST_TICKS), 86400.0 * math.ceil(span / 86400 / 10))
    first, last = math.ceil(begins / step - 1e-9), math.floor(ends / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def draw_counts(counts: Counts, classes: Sequence[str], *, title: str = "") -> Sheet:
    """Draw a bar for each label: solid for sure answers, hatched for unsure ones.

    Args:
        counts: Numbers of faces and images.
        classes: All labels, in order; of very many, only the most frequent are drawn.
        title: Title of the chart, such as the name of the folder.

    Returns:
        A sheet, 1200 pixels wide.
    """
    totals = {name: counts.sure.get(name, 0) + counts.unsure.get(name, 0) for name in classes}
    shown = list(classes)
    if len(shown) > MOST_BARS:
        shown = sorted(classes, key=lambda name: -totals[name])[:MOST_BARS]
    width, row, left, top = 1200, 46, 250, 132
    right = width - 190
    height = top + row * len(shown) + 110
    sheet = Sheet(width, height)
    faces, unsure = sum(totals.values()), sum(counts.unsure.values())
    sheet.write(_MARGIN, 34, f"Emotions in {title}" if title else "Emotions", 30, most=width - 80)
    told = f"{write_count(faces, 'face')} in {write_count(counts.pictures, counts.noun)}"
    sheet.write(_MARGIN, 78, told, 20, MUTED)
    scale = (right - left) / max(1, *totals.values())
    for number, name in enumerate(shown):
        high, low = top + number * row + 6, top + number * row + row - 6
        colour, middle = colour_of(name, classes), (high + low) / 2
        label = write_label(name, classes.index(name), 20)
        sheet.write(left - 14, middle, label, 20, anchor="rm", most=left - 14 - _MARGIN)
        solid, whole = left + counts.sure.get(name, 0) * scale, left + totals[name] * scale
        sheet.hatch(solid, high, whole, low, colour)
        sheet.bar(left, high, solid, low, colour)
        part = f" · {write_percent(totals[name] / faces)}" if totals[name] else ""
        sheet.write(whole + 12, middle, f"{totals[name]}{part}", 20, INK if totals[name] else MUTED, anchor="lm")
    sheet.line([(left, top), (left, top + row * len(shown))], MUTED, 2)
    low = top + row * len(shown) + 34
    sheet.bar(left, low - 8, left + 28, low + 8, MUTED)
    sheet.write(left + 38, low, f"sure: {faces - unsure}", 18, MUTED, anchor="lm")
    sheet.hatch(left + 190, low - 8, left + 218, low + 8, MUTED)
    sheet.write(left + 228, low, f"unsure: {unsure}", 18, MUTED, anchor="lm")
    rest = [f"{write_count(counts.empty, counts.noun)} without a face"] if counts.empty else []
    rest += [f"{write_count(counts.errors, counts.noun)} could not be read"] if counts.errors else []
    others = faces - sum(totals[name] for name in shown)
    rest += [f"{write_count(others, 'face')} with {len(classes) - len(shown)} other labels"] if others else []
    sheet.write(left, low + 36, " · ".join(rest), 18, MUTED, anchor="lm")
    return sheet
