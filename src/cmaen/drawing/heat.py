"""Drawing of heat maps over faces, and the sheet that shows several of them with a legend."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import NamedTuple

import cmaen.opencv  # isort: skip  # noqa: F401 - reports a broken OpenCV
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw

from cmaen.drawing.lettering import choose_font, load_font, measure, space_out, write_line
from cmaen.types import Image

Heat = NDArray[np.float32]
"""A map, float32 [S, S] in [0, 1]."""

COLOURS = (
    "#000004", "#0b0724", "#210c4a", "#3d0965", "#57106e", "#71196e", "#8a226a", "#a32c61", "#bc3754", "#d04545",
    "#e35933", "#f1711f", "#f98c0a", "#fcaa0f", "#f9c932", "#f2e865", "#fcffa4",
)  # fmt: skip
"""Evenly spaced colours from 0 to 1: the colour map inferno, whose brightness rises evenly for any colour vision."""
OPACITY = 0.75
"""Opacity of the hottest place, low enough to see the face below."""

CROP_SIDE = 320
"""Maximum side of the face below a map, in pixels."""

_PANEL, _GAP, _ROW, _LINE, _BAR = 320, 12, 26, 18, 14
_COLUMNS = 4
_INK, _QUIET = "#1c2127", "#5b6570"


class Panel(NamedTuple):
    """One face of the sheet.

    Attributes:
        crop: Face crop, RGB uint8 [h, w, 3] or grey [h, w].
        heat: Map of the face.
        title: Caption, such as ``1 happy 98%``.
        colour: Colour of the mark before the title, ``#rrggbb``.
        detail: Second line, in smaller letters; may be empty.
    """

    crop: NDArray[np.uint8]
    heat: Heat
    title: str
    colour: str
    detail: str = ""


def colour_heat(heat: Heat) -> NDArray[np.uint8]:
    """Colour a map for laying over a face, RGBA uint8 [S, S, 4]; the warmer, the more opaque."""
    stops = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in COLOURS], np.float64)
    places = np.clip(np.asarray(heat, np.float64), 0, 1)
    position = places * (len(COLOURS) - 1)
    low = np.minimum(position.astype(int), len(COLOURS) - 2)
    share = (position - low)[..., None]
    colours = stops[low] + (stops[low + 1] - stops[low]) * share  # [S, S, 3]
    return np.asarray(np.rint(np.dstack([colours, 255 * OPACITY * places])), np.uint8)


def overlay(crop: NDArray[np.uint8], heat: Heat) -> Image:
    """Draw a face in grey with its map over it: RGB uint8 [S, S, 3], S being the side of the map.

    Args:
        crop: Face crop, RGB uint8 [h, w, 3] or grey [h, w], of any size.
        heat: Map of the face.
    """
    grey = crop if crop.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    side = heat.shape[0]
    shrinks = min(grey.shape) > side
    face = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    colours = colour_heat(heat).astype(np.float32)
    share = colours[..., 3:] / 255
    return np.asarray(np.rint(face[..., None] * (1 - share) + colours[..., :3] * share), np.uint8)


def encode_map(heat: Heat) -> str:
    """Encode a coloured map as the data URI of a PNG, see :func:`colour_heat`."""
    return _encode(PILImage.fromarray(colour_heat(heat)), "PNG")


def encode_crop(crop: Image) -> str:
    """Encode a face as the data URI of a JPEG: a square, as the network sees it, so that a map fits over it."""
    side = min(max(crop.shape[:2]), CROP_SIDE)
    square = PILImage.fromarray(crop).resize((side, side), PILImage.Resampling.BILINEAR, reducing_gap=2.0)
    return _encode(square, "JPEG")


def _encode(picture: PILImage.Image, kind: str) -> str:
    file = BytesIO()
    picture.save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def draw_sheet(panels: Sequence[Panel], *, low: str, high: str, note: str) -> PILImage.Image:
    """Draw all faces with their maps, up to four in a row, 320 pixels each, above a colour bar.

    Args:
        panels: One panel for each face; at least one.
        low: Meaning of the bar's cold end.
        high: Meaning of the bar's warm end.
        note: Explanation of the maps, in a sentence or two.
    """
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    width = columns * (_PANEL + _GAP) + _GAP
    lines = list(_wrap(note, width - 2 * _GAP))
    pitch = _PANEL + _ROW + (_LINE if any(panel.detail for panel in panels) else 0) + _GAP
    legend = _GAP + rows * pitch
    height = legend + _BAR + _ROW + _LINE * len(lines) + _GAP
    sheet = PILImage.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, panel in enumerate(panels):
        left = _GAP + number % columns * (_PANEL + _GAP)
        top = _GAP + number // columns * pitch
        large = np.asarray(cv2.resize(panel.heat, (_PANEL, _PANEL), interpolation=cv2.INTER_LINEAR), np.float32)
        sheet.paste(PILImage.fromarray(overlay(panel.crop, large)), (left, top))
        middle = top + _PANEL + _ROW // 2
        draw.ellipse((left, middle - 5, left + 10, middle + 5), fill=panel.colour)
        _write(draw, (left + 16, middle), _shorten(panel.title, _PANEL - 16, 16), 16, _INK, "lm")
        _write(draw, (left + 16, top + _PANEL + _ROW), _shorten(panel.detail, _PANEL - 16, 13), 13, _QUIET)
    _draw_bar(sheet, legend, low, high)
    for number, line in enumerate(lines):
        _write(draw, (_GAP, legend + _BAR + _ROW + _LINE * number), line, 13, _QUIET)
    return sheet


def _draw_bar(sheet: PILImage.Image, top: int, low: str, high: str) -> None:
    """Draw the colours from cold to warm over a mid-grey, with a word at each end."""
    across = min(sheet.width - 2 * _GAP, 2 * _PANEL)
    ramp = np.asarray(np.tile(np.linspace(0, 1, across), (across, 1)), np.float32)
    bar = overlay(np.full((across, across), 128, np.uint8), ramp)[:_BAR]
    sheet.paste(PILImage.fromarray(bar), (_GAP, top))
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_GAP, top + _BAR + 4), low, 13, _INK)
    _write(draw, (_GAP + across, top + _BAR + 4), high, 13, _INK, "ra")


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: str, anchor: str = "la"
) -> None:
    draw.text(place, space_out(text), font=choose_font(text, size) or load_font(size), fill=colour, anchor=anchor)


def _shorten(text: str, width: float, size: int) -> str:
    """Shorten the text to one line of this width."""
    line = write_line(text)
    while line and measure(space_out(line), size) > width:
        line = f"{line[:-2].rstrip()}…"
    return line


def _wrap(text: str, width: float) -> Iterable[str]:
    """Break the text into lines of this width."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and measure(space_out(longer), 13) > width:
            yield line
            line = word
        else:
            line = longer
    if line:
        yield line
