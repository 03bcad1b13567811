"""A white sheet for drawing charts, saved as a pixel image or an SVG."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple
from xml.sax.saxutils import escape

import cmaen.opencv  # isort: skip  # noqa: F401 - reports a broken OpenCV
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw

from cmaen.drawing.lettering import choose_font, load_font, measure, space_out, write_line
from cmaen.drawing.painting import Colour
from cmaen.types import Image

INK: Colour = (28, 33, 39)
MUTED: Colour = (98, 106, 116)
GRID: Colour = (222, 226, 231)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".svg")
"""Suffixes of the formats that a sheet can be saved in."""

Points = Sequence[tuple[float, float]]
Anchor = Literal["la", "lm", "ls", "ma", "rm", "rs", "rt"]
"""Anchor of text: left, middle or right; ascender, top, middle or baseline, in Pillow's notation."""

_SMALL = 20
_BITS = 4
_HATCH = 9
"""Distance between two hatch lines, in pixels."""
_AT = {"l": "start", "m": "middle", "r": "end"}
_DOWN = {"a": 0.95, "t": 0.72, "m": 0.35, "s": 0.0}
"""Distance from the anchor of text to its baseline, relative to its size."""


class _Line(NamedTuple):
    points: Points
    colour: Colour
    width: int


class _Area(NamedTuple):
    points: Points
    colour: Colour


class _Hatch(NamedTuple):
    box: tuple[float, float, float, float]
    colour: Colour


class _Picture(NamedTuple):
    pixels: Image
    left: int
    top: int


class _Text(NamedTuple):
    x: float
    y: float
    text: str
    size: int
    colour: Colour
    anchor: Anchor


def blend(colour: Colour, share: float) -> Colour:
    """Blend a colour with white."""
    red, green, blue = (round(share * value + (1 - share) * 255) for value in colour)
    return red, green, blue


class Sheet:
    """A canvas: shapes in the order in which they are drawn, and all text on top.

    Args:
        width, height: Size in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._things: list[_Line | _Area | _Hatch | _Picture] = []
        self._texts: list[_Text] = []

    def write(
        self,
        x: float,
        y: float,
        text: str,
        size: int,
        colour: Colour = INK,
        *,
        anchor: Anchor = "la",
        most: float = math.inf,
    ) -> None:
        """Write text with its anchor at a point; text longer than ``most`` pixels is cut off."""
        line = write_line(text)
        while line and measure(space_out(line), size) > most:
            line = f"{line[:-2].rstrip()}…"
        self._texts.append(_Text(x, y, line, size, colour, anchor))

    def line(self, points: Points, colour: Colour, width: int) -> None:
        """Draw a smooth line through points."""
        self._things.append(_Line(points, colour, width))

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a smooth area."""
        self._things.append(_Area(points, colour))

    def bar(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Draw a rectangle; nothing if its width is 0."""
        if right > left:
            self.fill([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def hatch(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Draw a hatched rectangle; nothing if its width is 0."""
        if right - left >= 0.5:
            self._things.append(_Hatch((left, top, right, bottom), colour))

    def paste(self, picture: Image, left: int, top: int) -> None:
        """Paste an image with its upper left corner at a point."""
        self._things.append(_Picture(picture, left, top))

    def save(self, path: Path, suffix: str) -> None:
        """Save the sheet in the format of a suffix, one of :data:`SUFFIXES`.

        Raises:
            OSError: The file cannot be written.
        """
        if suffix.lower() == ".svg":
            path.write_text(self.svg(), "utf-8")
        else:
            self.picture().save(path, PILImage.registered_extensions()[suffix.lower()])

    def picture(self) -> PILImage.Image:
        """Render the sheet as pixels, RGB."""
        pixels: Image = np.full((self.height, self.width, 3), 255, np.uint8)
        for thing in self._things:
            match thing:
                case _Line(points, colour, width):
                    cv2.polylines(pixels, [_fix(points)], False, colour, width, cv2.LINE_AA, _BITS)
                case _Area(points, colour):
                    cv2.fillPoly(pixels, [_fix(points)], colour, cv2.LINE_AA, _BITS)
                case _Hatch(box, colour):
                    _hatch(pixels, box, colour)
                case _Picture(picture, left, top):
                    pixels[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        made = PILImage.fromarray(pixels)
        draw = ImageDraw.Draw(made)
        for x, y, text, size, colour, anchor in self._texts:
            wide = space_out(text) if size <= _SMALL else text
            draw.text((x, y), wide, font=choose_font(wide, size) or load_font(size), fill=colour, anchor=anchor)
        return made

    def svg(self) -> str:
        """Render the sheet as SVG."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" font-family="system-ui, sans-serif">',
            '<rect width="100%" height="100%" fill="#fff"/>',
        ]
        parts += [_describe(thing) for thing in self._things]
        for x, y, text, size, colour, anchor in self._texts:
            where = f'x="{x:.1f}" y="{y + _DOWN[anchor[1]] * size:.1f}" text-anchor="{_AT[anchor[0]]}"'
            parts.append(f'<text {where} font-size="{size}" fill="{_hex(colour)}">{escape(text)}</text>')
        return "\n".join([*parts, "</svg>\n"])


def _describe(thing: Any) -> str:
    """Describe a shape as an SVG element."""
    match thing:
        case _Line(points, colour, width):
            look = f'fill="none" stroke="{_hex(colour)}" stroke-width="{width}"'
            return f'<polyline {look} points="{_list(points)}"/>'
        case _Area(points, colour):
            return f'<polygon fill="{_hex(colour)}" points="{_list(points)}"/>'
        case _Hatch((left, top, right, bottom), colour):
            name = f"hatch-{_hex(colour)[1:]}"
            size = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
            look = f'fill="url(#{name})" stroke="{_hex(colour)}"'
            return (
                f'<pattern id="{name}" width="6.4" height="6.4" patternUnits="userSpaceOnUse" '
                f'patternTransform="rotate(45)"><rect width="6.4" height="6.4" fill="{_hex(blend(colour, 0.2))}"/>'
                f'<rect width="2.8" height="6.4" fill="{_hex(colour)}"/></pattern><rect {size} {look}/>'
            )
        case _Picture(picture, left, top):
            buffer = BytesIO()
            PILImage.fromarray(picture).save(buffer, "PNG")
            data = base64.b64encode(buffer.getvalue()).decode()
            size = f'x="{left}" y="{top}" width="{picture.shape[1]}" height="{picture.shape[0]}"'
            return f'<image {size} href="data:image/png;base64,{data}"/>'
    raise AssertionError(thing)


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _list(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _fix(points: Points) -> NDArray[np.int32]:
    """Convert points to sixteenths of a pixel, as OpenCV expects them."""
    return np.rint(np.array(points, np.float64) * (1 << _BITS)).astype(np.int32)


def _hatch(pixels: Image, box: tuple[float, float, float, float], colour: Colour) -> None:
    left, top, right, bottom = map(round, box)
    part = pixels[top : bottom + 1, left : right + 1]
    down, across = np.indices(part.shape[:2])
    part[:] = np.where(((down + across) % _HATCH < 4)[:, :, None], np.array(colour), np.array(blend(colour, 0.2)))
    part[[0, -1]] = colour
    part[:, [0, -1]] = colour
