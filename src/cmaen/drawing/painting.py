"""Smooth shapes and text on images: outlines, dark plates with a coloured bar, dots with a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cmaen.opencv  # isort: skip  # noqa: F401 - reports a broken OpenCV
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw

from cmaen.drawing.lettering import choose_font, load_font, measure, space_out
from cmaen.drawing.placing import Size
from cmaen.types import Image

Colour = tuple[int, int, int]

PLATE: Colour = (14, 16, 22)
OPACITY = 0.88
"""Opacity of the dark background of white text."""
RIM: Colour = (255, 255, 255)
_APART = 0.6
"""Space between the segments of a plate, relative to the text size."""
_SHADE: Colour = (10, 12, 16)
_ROUND = 0.08
"""Radius of an outline's corners, relative to its shorter side."""
_SMOOTH = 4
"""Factor by which shapes are drawn larger before they are reduced, for smooth edges."""
_LARGEST_KEPT = 40
"""Largest text size in pixels up to which sprites are kept for the next frame."""
_SHIFT = 3
"""Fractional bits of a pixel in OpenCV's coordinates."""


class Sprite(NamedTuple):
    """A small image that is laid on another.

    Attributes:
        light: RGB multiplied by the opacity, uint8 [h, w, 3].
        rest: Share of the underlying image that remains visible, 0 to 255, uint16 [h, w, 1].
    """

    light: Image
    rest: NDArray[np.uint16]

    @property
    def size(self) -> Size:
        """Size in pixels."""
        return Size(self.light.shape[1], self.light.shape[0])


class Segment(NamedTuple):
    """A part of a plate: a coloured bar, striped for an unsure answer, followed by text."""

    text: str
    colour: Colour | None = None
    broken: bool = False


def measure_plate(segments: Sequence[Segment], size: int) -> Size:
    """Measure the plate that :func:`paint_plate` paints."""
    across = sum(_measure_segment(segment, size) for segment in segments) + _APART * size * (len(segments) - 1)
    return Size(math.ceil(across + 0.45 * size), round(1.6 * size))


def _measure_segment(segment: Segment, size: int) -> float:
    bar = 0.0 if segment.colour is None else _bar(size) + 0.4 * size
    return 0.45 * size + bar + measure(space_out(segment.text), size)


def _bar(size: int) -> int:
    return max(3, round(0.34 * size))


def paint_plate(segments: Sequence[Segment], size: int) -> Sprite:
    """Paint a dark rounded plate with white text after a coloured bar.

    Args:
        segments: Segments from left to right.
        size: Text size, in pixels.
    """
    paint = _keep_plate if size <= _LARGEST_KEPT else _paint_plate
    return paint(tuple(segments), size)


def _paint_plate(segments: tuple[Segment, ...], size: int) -> Sprite:
    width, height = measure_plate(segments, size)
    face = PILImage.new("RGB", (width, height), PLATE)
    draw = ImageDraw.Draw(face)
    left = 0.0
    for segment in segments:
        start = left + 0.45 * size
        if segment.colour is not None:
            bar = _bar(size)
            _paint_bar(face, (start, 0.22 * height, start + bar, 0.78 * height), segment.colour, broken=segment.broken)
            start += bar + 0.4 * size
        text = space_out(segment.text)
        font = choose_font(text, size) or load_font(size)
        draw.text((start, height / 2), text, font=font, fill="white", anchor="lm", stroke_width=_weight(size))
        left += _measure_segment(segment, size) + _APART * size
    return _cut_out(face, _mask(width, height, 0.28 * height), OPACITY)


_keep_plate = lru_cache(maxsize=128)(_paint_plate)


def _weight(size: int) -> float:
    """Return the stroke width that makes text a little bolder than the font."""
    return size / 50


def _paint_bar(face: PILImage.Image, box: tuple[float, float, float, float], colour: Colour, *, broken: bool) -> None:
    left, top, right, bottom = box
    width, height = max(1, round(right - left)), max(1, round(bottom - top))
    corner = (round(left), round(top))
    mask = _mask(width, height, width / 2, broken=broken)
    rim = _mask(width + 2, height + 2, width / 2 + 1, broken=broken)
    if sum(colour) < 3 * 130:  # a dark colour needs a light rim on the dark plate
        face.paste(tuple(value // 2 + 110 for value in colour), (corner[0] - 1, corner[1] - 1), rim)
    face.paste(colour, corner, mask)


def measure_dot(text: str, size: int) -> Size:
    """Measure the dot that :func:`paint_dot` paints."""
    height = round(1.3 * size)
    return Size(max(height, math.ceil(measure(text, size) + 0.6 * size)), height)


def paint_dot(text: str, size: int, colour: Colour, *, broken: bool = False) -> Sprite:
    """Paint a number in a coloured dot with a white rim, which is striped for an unsure answer."""
    paint = _keep_dot if size <= _LARGEST_KEPT else _paint_dot
    return paint(text, size, colour, broken)


def _paint_dot(text: str, size: int, colour: Colour, broken: bool) -> Sprite:
    width, height = measure_dot(text, size)
    line = max(1, round(size / 12))
    face = PILImage.new("RGB", (width, height), PLATE if broken else RIM)
    rim = _mask(width, height, height / 2)
    if broken:
        stripes = _mask(width, height, height / 2, broken=True)
        face.paste(RIM, (0, 0), stripes)
    inner = _mask(width - 2 * line, height - 2 * line, height / 2 - line)
    face.paste(colour, (line, line), inner)
    font = choose_font(text, size) or load_font(size)
    draw = ImageDraw.Draw(face)
    draw.text((width / 2, height / 2), text, font=font, fill="white", anchor="mm", stroke_width=_weight(size))
    return _cut_out(face, rim, 1.0)


_keep_dot = lru_cache(maxsize=512)(_paint_dot)


def _mask(width: int, height: int, radius: float, *, broken: bool = False) -> PILImage.Image:
    """Draw a rounded rectangle, or stripes of it, with smooth edges: grey [height, width]."""
    large = PILImage.new("L", (max(1, width) * _SMOOTH, max(1, height) * _SMOOTH))
    draw = ImageDraw.Draw(large)
    draw.rounded_rectangle((0, 0, large.width - 1, large.height - 1), radius * _SMOOTH, fill=255)
    if broken:
        step = large.height / 5
        for gap in (1, 3):
            draw.rectangle((0, round(gap * step), large.width, round((gap + 1) * step)), fill=0)
    return large.reduce(_SMOOTH)


def _cut_out(face: PILImage.Image, mask: PILImage.Image, opacity: float) -> Sprite:
    """Cut out the image under a mask; only its background is translucent, text and bars are opaque."""
    pixels = np.asarray(face).astype(np.uint16)
    ground = (pixels == PLATE).all(axis=2, keepdims=True)
    alpha = np.asarray(mask)[:, :, None].astype(np.uint16)
    alpha = np.where(ground, np.rint(alpha * opacity), alpha).astype(np.uint16)
    return Sprite(((pixels * alpha + 127) // 255).astype(np.uint8), 255 - alpha)


def lay(picture: Image, sprite: Sprite, left: int, top: int) -> None:
    """Lay a sprite on an image, in place; parts beyond the image's edges are left out."""
    height, width = picture.shape[:2]
    low_x, low_y = max(0, left), max(0, top)
    high_x, high_y = min(width, left + sprite.size.width), min(height, top + sprite.size.height)
    if high_x <= low_x or high_y <= low_y:
        return
    part = picture[low_y:high_y, low_x:high_x]
    inside = (slice(low_y - top, high_y - top), slice(low_x - left, high_x - left))
    part[:] = sprite.light[inside] + (part * sprite.rest[inside] + 127) // 255


def outline(picture: Image, box: Sequence[float], colour: Colour, line: int, *, broken: bool = False) -> None:
    """Draw a rounded frame around a face, in place; white lines, or a dark line below dashes, make it visible anywhere.

    Args:
        picture: RGB uint8 [H, W, 3].
        box: Left, top, right and bottom edge in pixels; may lie outside the image.
        colour: Colour of the line.
        line: Width of the line in pixels, at least 1.
        broken: Whether to draw dashes, for an unsure answer.
    """
    height, width = picture.shape[:2]
    reach = 4 * line + 64
    most = (width + reach, height + reach) * 2
    left, top, right, bottom = (float(min(max(round(v), -reach), m)) for v, m in zip(box, most, strict=True))
    radius = _ROUND * max(0.0, min(right - left, bottom - top))
    points = _round_off(left, top, right, bottom, radius)
    if broken:
        _stroke(picture, [points], _SHADE, line + line // 2, closed=True)
    elif line > 1:
        _stroke(picture, [points], RIM, line + 2 * max(1, round(0.25 * line)), closed=True)
    if broken:
        _stroke(picture, _dash(points, 4.0 * line + 4, 2.5 * line + 3), colour, line, closed=False)
    else:
        _stroke(picture, [points], colour, line, closed=True)


def _stroke(picture: Image, lines: Sequence[NDArray[np.float64]], colour: Colour, line: int, *, closed: bool) -> None:
    fixed = [np.rint(points * (1 << _SHIFT)).astype(np.int32) for points in lines]
    cv2.polylines(picture, fixed, closed, colour, line, cv2.LINE_AA, _SHIFT)


def _round_off(left: float, top: float, right: float, bottom: float, radius: float) -> NDArray[np.float64]:
    """Round off the corners of a rectangle: points [P, 2] on an arc each, clockwise from the upper left."""
    turns = np.linspace(0, math.pi / 2, 5 if radius < 40 else 12) if radius >= 1 else np.zeros(1)
    if radius < 1:
        radius = 0.0
    arcs = []
    centres = ((left, top, 1, 1), (right, top, -1, 1), (right, bottom, -1, -1), (left, bottom, 1, -1))
    for number, (x, y, inwards_x, inwards_y) in enumerate(centres):
        angles = turns + math.pi + number * math.pi / 2
        centre = (x + inwards_x * radius, y + inwards_y * radius)
        arcs.append(np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], axis=1))
    return np.concatenate(arcs)


def _dash(points: NDArray[np.float64], drawn: float, left_out: float) -> list[NDArray[np.float64]]:
    """Split a closed line into dashes of two or more points each, [P, 2]."""
    closed = np.concatenate([points, points[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    length = along[-1]
    count = max(4, round(length / (drawn + left_out)))
    step = length / count
    dashes = []
    for number in range(count):
        start, end = number * step, number * step + step * drawn / (drawn + left_out)
        within = along[(along > start) & (along < end)]
        at = np.concatenate([[start], within, [end]])
        dashes.append(np.stack([np.interp(at, along, closed[:, axis]) for axis in (0, 1)], axis=1))
    return dashes
