"""Answers as charts, without matplotlib: each person's emotions over time, and how many faces show each emotion."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cmaen.opencv  # isort: skip  # noqa: F401 - what is wrong with it is said here
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw

from cmaen.drawing import colour_of
from cmaen.lettering import choose_font, load_font, measure, write_label, write_line, write_percent
from cmaen.painting import Colour
from cmaen.types import Image

MOST_LANES = 8
"""Labels that have a lane, at most: the seven emotions and contempt, or the most frequent of more labels."""
MOST_BARS = 20
PORTRAIT = 112
"""The side of a person's portrait, in pixels."""
_WIDTH, _MARGIN = 1600, 40
_INK, _MUTED, _GRID, _GROUND = (28, 33, 39), (98, 106, 116), (222, 226, 231), (255, 255, 255)
_LANE, _LOW_LANE, _FEW, _APART, _BETWEEN = 38, 26, 4, 4, 34
_LEFT, _RIGHT = 340, _WIDTH - 150
"""Pixels: a lane's height, that among more than a few people, and the room below it, the room between people; where
the lanes begin and end."""
_FILL = 0.38
_SMALL = 16
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MOST_TICKS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """What is drawn of one person.

    Attributes:
        identity: Counted from 1.
        means: The probabilities in each bin of time, in [0, 1], float64 [B, C]; nan where the person was not seen.
        unsure: The share of each bin's answers that were unsure, in [0, 1], float64 [B]; nan likewise.
        shares: The mean of all the probabilities, float64 [C].
        seconds: How long the person was seen.
        portrait: RGB uint8 [:data:`PORTRAIT`, :data:`PORTRAIT`, 3], or ``None``.
    """

    identity: int
    means: NDArray[np.float64]
    unsure: NDArray[np.float64]
    shares: NDArray[np.float64]
    seconds: float
    portrait: Image | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a chart of many pictures counts.

    Attributes:
        sure, unsure: Faces by their most probable label.
        pictures: All that were looked at,
        empty: those without a face,
        errors: and those without an answer.
        noun: What they are: ``picture`` or ``frame``.
    """

    sure: Mapping[str, int]
    unsure: Mapping[str, int]
    pictures: int
    empty: int = 0
    errors: int = 0
    noun: str = "picture"


def draw_timeline(
    people: Sequence[Lanes], classes: Sequence[str], *, begins: float, step: float, title: str = ""
) -> PILImage.Image:
    """Lanes for each person: one a label, its height the probability from 0 to 100%, and the means at the right.

    Args:
        people: From top to bottom.
        classes: The labels.
        begins: The time at which the first bin begins, in seconds.
        step: The width of a bin, in seconds.
        title: What was looked at.

    Returns:
        RGB, 1600 pixels wide.
    """
    shown = _choose_lanes(people, len(classes))
    bins = max((len(person.means) for person in people), default=0)
    lane = _LANE if len(people) <= _FEW else _LOW_LANE
    block = len(shown) * (lane + _APART) + 22
    each, top = max(block, PORTRAIT + 56) + _BETWEEN, 128
    height = top + max(1, len(people)) * each + 30
    sheet = _Sheet(_WIDTH, height)
    seconds = bins * step
    sheet.write(_MARGIN, 34, f"Emotions over time: {title}" if title else "Emotions over time", 30, most=_WIDTH - 80)
    lanes = "" if len(shown) == len(classes) else f"the {len(shown)} most frequent of {len(classes)} labels, "
    told = f"{write_time(seconds)} · {count('person', len(people), 'people')} · {lanes}each lane from 0 to 100%"
    sheet.write(_MARGIN, 76, told if people else "No face was found.", 18, _MUTED)
    if people:
        sheet.write(_RIGHT + 20, 104, "mean", 16, _MUTED)
    for number, person in enumerate(people):
        high = top + number * each
        _draw_person(sheet, person, classes, shown, lane, high, bins, begins, step)
    if people:
        low = high + block + 8
        for second in choose_ticks(begins, begins + seconds):
            x = _LEFT + (second - begins) / seconds * (_RIGHT - _LEFT)
            sheet.write(x, low, write_time(second, exact=True), 16, _MUTED, anchor="ma")
    return sheet.picture()


def _choose_lanes(people: Sequence[Lanes], count: int) -> list[int]:
    """The labels that have a lane, in their order."""
    if count <= MOST_LANES:
        return list(range(count))
    sums = np.sum([person.shares for person in people], axis=0) if people else np.zeros(count)
    return sorted(np.argsort(-sums, kind="stable")[:MOST_LANES].tolist())


def _draw_person(
    sheet: _Sheet,
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
    sheet.write(_MARGIN, below, f"person {person.identity}", 20)
    sheet.write(_MARGIN, below + 26, f"seen for {write_time(person.seconds)}", 15, _MUTED)
    scale = (_RIGHT - _LEFT) / bins
    best = int(np.argmax(person.shares))
    bottom = top + len(shown) * (lane + _APART) - _APART
    for second in choose_ticks(begins, begins + bins * step):
        x = _LEFT + (second - begins) / step * scale
        sheet.line([(x, top), (x, bottom)], _GRID, 1)
    for place, label in enumerate(shown):
        high = top + place * (lane + _APART)
        low = high + lane
        middle = low - lane // 2
        sheet.line([(_LEFT, low), (_RIGHT, low)], _GRID, 1)
        colour, weight = colour_of(classes[label], classes), _INK if label == best else _MUTED
        sheet.fill([(180, middle - 5), (190, middle - 5), (190, middle + 5), (180, middle + 5)], colour)
        sheet.write(200, middle + 6, write_label(classes[label], label, 14), 17, weight, anchor="ls")
        sheet.write(_RIGHT + 20, middle + 6, write_percent(float(person.shares[label])), 18, weight, anchor="ls")
        for start, end in find_runs(person.means[:, label]):
            values = person.means[start:end, label]
            across = _LEFT + (np.arange(start, end) + 0.5) * scale
            across = np.concatenate([[_LEFT + start * scale], across, [_LEFT + end * scale]])
            upper = low - np.concatenate([values[:1], values, values[-1:]]) * (lane - 2)
            curve = list(zip(across.tolist(), upper.tolist(), strict=True))
            sheet.fill([(across[0], low), *curve, (across[-1], low)], _blend(colour, _FILL))
            sheet.line(curve, colour, 2)
    sheet.write(_LEFT - 8, top + 2, "100%", 12, _MUTED, anchor="rt")
    sheet.write(_LEFT - 8, top + lane, "0", 12, _MUTED, anchor="rs")
    _draw_unsure(sheet, person, bottom + 14, scale)


def _draw_unsure(sheet: _Sheet, person: Lanes, row: int, scale: float) -> None:
    """Dashes below the lanes where most answers were unsure."""
    unsure = np.where(person.unsure >= 0.5, 1.0, np.nan)
    if not np.isfinite(unsure).any():
        return
    for start, end in find_runs(unsure):
        left, right = _LEFT + start * scale, _LEFT + end * scale
        for dash in np.arange(left, right, 10.0):
            end_of_it = min(dash + 6, right)
            sheet.fill([(dash, row - 2), (end_of_it, row - 2), (end_of_it, row + 2), (dash, row + 2)], _MUTED)
    sheet.write(200, row + 5, "unsure", 14, _MUTED, anchor="ls")
    seen = person.unsure[np.isfinite(person.unsure)]
    sheet.write(_RIGHT + 20, row + 6, write_percent(float((seen >= 0.5).mean())), 16, _MUTED, anchor="ls")


def find_runs(values: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """The stretches of numbers between gaps of nan: first, and after the last."""
    there = np.isfinite(values).astype(np.int8)
    edges = np.flatnonzero(np.diff(there, prepend=0, append=0))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def choose_ticks(begins: float, ends: float) -> list[float]:
    """Round times from one to another, in seconds, at most a dozen or so."""
    span = max(ends - begins, 1e-9)
    step = next((step for step in _STEPS if span / step <= _MOST_TICKS), 86400.0 * math.ceil(span / 86400 / 10))
    first, last = math.ceil(begins / step - 1e-9), math.floor(ends / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def write_time(seconds: float, *, exact: bool = False) -> str:
    """Minutes and seconds, ``1:05``, from an hour on ``1:00:05``; exact ones have tenths where there are some."""
    part = round(seconds % 1, 1) if exact else 0.0
    whole = math.floor(seconds + 1e-6) if 0.05 < part < 0.95 else round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    told = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{told}.{round(10 * part)}" if 0.05 < part < 0.95 else told


def draw_counts(counts: Counts, classes: Sequence[str], *, title: str = "") -> PILImage.Image:
    """A bar for each label: solid for faces of whose answer the network is sure, hatched for the others.

    Args:
        counts: What is shown.
        classes: All labels, in their order; of very many only those that are most frequent.
        title: What was looked at.

    Returns:
        RGB, 1200 pixels wide.
    """
    totals = {name: counts.sure.get(name, 0) + counts.unsure.get(name, 0) for name in classes}
    shown = list(classes)
    if len(shown) > MOST_BARS:
        shown = sorted(classes, key=lambda name: -totals[name])[:MOST_BARS]
    width, row, left, top = 1200, 46, 250, 132
    right = width - 190
    height = top + row * len(shown) + 110
    sheet = _Sheet(width, height)
    faces, unsure = sum(totals.values()), sum(counts.unsure.values())
    sheet.write(_MARGIN, 34, f"Emotions in {title}" if title else "Emotions", 30, most=width - 80)
    told = f"{count('face', faces)} in {count(counts.noun, counts.pictures)}"
    sheet.write(_MARGIN, 78, told, 20, _MUTED)
    scale = (right - left) / max(1, *totals.values())
    for number, name in enumerate(shown):
        high, low = top + number * row + 6, top + number * row + row - 6
        colour, middle = colour_of(name, classes), (high + low) / 2
        label = write_label(name, classes.index(name), 20)
        sheet.write(left - 14, middle, label, 20, anchor="rm", most=left - 14 - _MARGIN)
        solid, whole = left + counts.sure.get(name, 0) * scale, left + totals[name] * scale
        sheet.hatch(solid, high, whole, low, colour)
        sheet.fill([(left, high), (solid, high), (solid, low), (left, low)] if solid > left else [], colour)
        part = f" · {write_percent(totals[name] / faces)}" if faces else ""
        sheet.write(whole + 12, middle, f"{totals[name]}{part}", 20, _INK if totals[name] else _MUTED, anchor="lm")
    sheet.line([(left, top), (left, top + row * len(shown))], _MUTED, 2)
    low = top + row * len(shown) + 34
    sheet.fill([(left, low - 8), (left + 28, low - 8), (left + 28, low + 8), (left, low + 8)], _MUTED)
    sheet.write(left + 38, low, f"sure: {faces - unsure}", 18, _MUTED, anchor="lm")
    sheet.hatch(left + 190, low - 8, left + 218, low + 8, _MUTED)
    sheet.write(left + 228, low, f"unsure: {unsure}", 18, _MUTED, anchor="lm")
    rest = [f"{count(counts.noun, counts.empty)} without a face"] if counts.empty else []
    rest += [f"{count(counts.noun, counts.errors)} could not be read"] if counts.errors else []
    others = faces - sum(totals[name] for name in shown)
    rest += [f"{count('face', others)} with {len(classes) - len(shown)} other labels"] if others else []
    sheet.write(left, low + 36, " · ".join(rest), 18, _MUTED, anchor="lm")
    return sheet.picture()


def count(noun: str, number: int, plural: str = "") -> str:
    """``1 face``, ``3 faces``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def _blend(colour: Colour, share: float) -> Colour:
    """A colour on white."""
    red, green, blue = (round(share * value + (1 - share) * 255) for value in colour)
    return red, green, blue


class _Sheet:
    """A white sheet: smooth shapes as they come, and all text at the end.

    Args:
        width, height: In pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._pixels: Image = np.full((height, width, 3), _GROUND, np.uint8)
        self._texts: list[tuple[tuple[float, float], str, int, Colour, str]] = []

    def write(
        self,
        x: float,
        y: float,
        text: str,
        size: int,
        colour: Colour = _INK,
        *,
        anchor: str = "la",
        most: float = math.inf,
    ) -> None:
        """Text whose anchor, of Pillow's, is at a point; its end is left out beyond ``most`` pixels."""
        line = write_line(text)
        if size <= _SMALL and line.isascii():
            line = line.replace(" ", "  ")  # small ones are narrow in Pillow's own font
        while line and measure(line, size) > most:
            line = f"{line[:-2].rstrip()}…"
        self._texts.append(((x, y), line, size, colour, anchor))

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: int) -> None:
        """A smooth line through points."""
        cv2.polylines(self._pixels, [_fix(points)], False, colour, width, cv2.LINE_AA, 4)

    def fill(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """A smooth area."""
        if points:
            cv2.fillPoly(self._pixels, [_fix(points)], colour, cv2.LINE_AA, 4)

    def hatch(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A rectangle of slanting lines."""
        part = self._pixels[round(top) : round(bottom) + 1, round(left) : round(right) + 1]
        if right - left < 0.5 or not part.size:
            return
        down, across = np.indices(part.shape[:2])
        part[:] = np.where(((down + across) % 9 < 4)[:, :, None], np.array(colour), np.array(_blend(colour, 0.2)))
        part[[0, -1]] = colour
        part[:, [0, -1]] = colour

    def paste(self, picture: Image, left: int, top: int) -> None:
        """A picture, its upper left corner at a point."""
        height, width = picture.shape[:2]
        self._pixels[top : top + height, left : left + width] = picture

    def picture(self) -> PILImage.Image:
        """All of it, RGB."""
        made = PILImage.fromarray(self._pixels)
        draw = ImageDraw.Draw(made)
        for corner, text, size, colour, anchor in self._texts:
            draw.text(corner, text, font=choose_font(text, size) or load_font(size), fill=colour, anchor=anchor)
        return made


def _fix(points: Sequence[tuple[float, float]]) -> NDArray[np.int32]:
    """In sixteenths of a pixel, as OpenCV takes them."""
    return np.rint(np.array(points, np.float64) * 16).astype(np.int32)
