"""The ticker of a video: small bars with the probabilities of each person at the lower edge of the frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw

from cmaen.drawing.lettering import choose_font, choose_letters, load_font
from cmaen.drawing.painting import OPACITY, PLATE, Colour, Sprite
from cmaen.drawing.steadying import Memory
from cmaen.types import Image

PEOPLE = 4
"""Maximum number of people with a panel: the first in order."""
LEAST_WIDTH, LEAST_HEIGHT = 480, 320
"""Smallest size in pixels of an image with a ticker."""
_MOST_LABELS = 8
_TRACK = (58, 62, 72)


def paint_ticker(
    faces: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    colour_of: Callable[[str, Sequence[str]], Colour],
    *,
    boxes: NDArray[np.float64],
    width: int,
    height: int,
    memory: Memory,
) -> list[tuple[Sprite, int, int]]:
    """Paint a panel for each person, side by side at the lower edge: first in the order of their numbers, and from then
    on in the order in which they appear, so that nobody's panel moves when another person comes or goes.

    Args:
        faces: Dicts of :meth:`cmaen.results.Face.to_dict`.
        names: Number of each person.
        colour_of: Function that returns the colour of a label among all labels.
        boxes: Left, top, right and bottom edge of each face, in pixels, float64 [F, 4].
        width, height: Size of the image.
        memory: Memory of the video.

    Returns:
        The panels with their left and top edges. There are none if the image is small or there are too many labels; a
        panel that would cover a face or has no room is left out.
    """
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return []
    size = max(11, round(min(width, height) / 60))
    memory.seat_anew(names)
    first = range(min(len(faces), PEOPLE))
    seated = {name: face for face, name in enumerate(names) if face in first or memory.has_seat(name)}
    chosen = [face for face in seated.values() if 2 <= len(faces[face].get("probabilities", ())) <= _MOST_LABELS]
    chosen.sort(key=lambda face: (len(names[face]), names[face]))
    margin = size // 2
    panels: list[tuple[Sprite, int, int]] = []
    for face in chosen:
        name = names[face]
        seat = memory.seat(name, PEOPLE)
        if seat is None:
            continue
        panel = _paint_panel(faces[face], name, size, colour_of)
        left, top = margin + seat * (panel.size.width + margin), height - margin - panel.size.height
        edges = (left, top, left + panel.size.width, top + panel.size.height)
        apart = 0 if memory.shows(name) else size  # so that a panel does not flicker while a face is at its edge
        hits = (boxes[:, :2] < np.add(edges[2:], apart)) & (boxes[:, 2:] > np.subtract(edges[:2], apart))
        fits = edges[2] <= width - margin and not hits.all(axis=1).any()
        memory.show(name, fits)
        if fits:
            panels.append((panel, left, top))
    return panels


def _paint_panel(
    face: Mapping[str, Any], name: str, size: int, colour_of: Callable[[str, Sequence[str]], Colour]
) -> Sprite:
    """Paint an upright bar for each label, with its letter below, on a dark background."""
    answers: Mapping[str, float] = face["probabilities"]
    classes = tuple(answers)
    ground, start = _paint_ground(name, classes, size)
    pixels = ground.copy()
    step, bar, tall, pad = _measure_panel(size)
    for number, label in enumerate(classes):
        left = start + number * step + (step - bar) // 2
        column = pixels[pad : pad + tall, left : left + bar]
        column[:] = _TRACK
        filled = round(tall * min(max(answers[label], 0.0), 1.0))
        if filled:
            column[tall - filled :] = colour_of(label, classes)
            column[tall - filled] = 255
    alpha = round(255 * OPACITY)
    light = ((pixels.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
    return Sprite(light, np.full((*pixels.shape[:2], 1), 255 - alpha, np.uint16))


def _measure_panel(size: int) -> tuple[int, int, int, int]:
    """Return the distance between bars, their width and height, and the margin, in pixels."""
    return round(1.5 * size), round(0.9 * size), round(2.6 * size), size // 2


@lru_cache(maxsize=32)
def _paint_ground(name: str, classes: tuple[str, ...], size: int) -> tuple[Image, int]:
    """Paint the static part, the number and the letters, RGB uint8 [h, w, 3]; also return the bars' left edge."""
    letters = choose_letters(classes)
    step, _, tall, pad = _measure_panel(size)
    font = choose_font("".join(letters.values()), size) or load_font(size)
    start = pad + (round(0.4 * size + max(font.getlength(name), font.getlength("00"))) if name else 0)
    panel = PILImage.new("RGB", (start + step * len(classes) + pad, tall + round(1.5 * size) + 2 * pad), PLATE)
    draw = ImageDraw.Draw(panel)
    draw.text((pad, pad + tall / 2), name, font=font, fill="white", anchor="lm", stroke_width=size / 30)
    for number, label in enumerate(classes):
        middle = (start + (number + 0.5) * step, pad + tall + 0.9 * size)
        draw.text(middle, letters[label], font=font, fill="white", anchor="mm")
    return np.asarray(panel), start
