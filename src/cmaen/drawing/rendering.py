"""Small images for notebooks: the annotated image of a result, and a face beside its probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import cmaen.opencv  # isort: skip  # noqa: F401 - reports a broken OpenCV
import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from cmaen.drawing.lettering import choose_font, load_font, space_out, write_label, write_percent
from cmaen.drawing.painting import outline
from cmaen.drawing.style import STYLE, colour_of_hex, describe_answer, draw_faces, hex_of, is_unsure
from cmaen.types import Image

SIDE = 640
"""Maximum length of a thumbnail's longer side, in pixels."""
_BARS = 8
"""Maximum number of bars: the seven emotions and contempt, or the highest probabilities of more labels."""
_FACE, _ROW, _MARGIN = 176, 22, 8
_NAME, _BAR, _NUMBER = 92, 180, 52
"""Sizes in pixels: side of a face, height of a bar's row, margin; widths of the columns of the bars."""
_INK, _TRACK = "#1c2127", "#e6e8eb"
_DASHES = colour_of_hex(STYLE.unsure)


def render_picture(image: Image, faces: Sequence[Mapping[str, Any]], *, side: int = SIDE) -> bytes:
    """Draw the faces on the image as a PNG; the image is shrunk first, so that the labels stay readable.

    Args:
        image: RGB uint8 [H, W, 3].
        faces: Faces as for :func:`cmaen.drawing.style.draw_faces`.
        side: Maximum length of the PNG's longer side, in pixels.
    """
    factor = min(1.0, side / max(image.shape[:2]))
    small = image
    if factor < 1:
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    scaled = [{**face, "box": [value * factor for value in face["box"]]} for face in faces]
    return _encode(PILImage.fromarray(draw_faces(small, scaled)))


def render_face(face: Mapping[str, Any], crop: Image | None = None) -> bytes:
    """Draw one face as a PNG: its answer in words, its crop if given, and a bar for each probability.

    Args:
        face: Dict of :meth:`cmaen.results.Face.to_dict`.
        crop: Face crop, RGB uint8 [h, w, 3] or grey [h, w].
    """
    answers: Mapping[str, float] = face["probabilities"]
    classes = list(answers)
    most_probable = sorted(classes, key=answers.__getitem__, reverse=True)[:_BARS]
    shown = classes if len(classes) <= _BARS else most_probable
    left = _MARGIN if crop is None else _MARGIN + _FACE + _MARGIN
    height = max(_ROW * (1 + len(shown)), 0 if crop is None else _FACE) + 2 * _MARGIN
    width = left + _NAME + _BAR + _NUMBER + _MARGIN
    card = PILImage.new("RGB", (width, height), "white")
    if crop is not None:
        picture = PILImage.fromarray(crop)
        picture = picture.convert("RGB").resize((_FACE, _FACE), PILImage.Resampling.BICUBIC, reducing_gap=2.0)
        card.paste(picture, (_MARGIN, _MARGIN))
        if is_unsure(face):
            card = _frame(card)
    draw, font = ImageDraw.Draw(card), load_font(14)
    _write(draw, (left, _MARGIN), write_label(describe_answer(face), 0, 40), 16)
    for row, name in enumerate(shown, start=1):
        top = _MARGIN + row * _ROW
        bar = left + _NAME
        _write(draw, (left, top + 2), write_label(name, classes.index(name), 12), 14)
        draw.rectangle((bar, top + 4, bar + _BAR, top + _ROW - 5), fill=_TRACK)
        length = round(_BAR * min(max(answers[name], 0.0), 1.0))
        if length:
            draw.rectangle((bar, top + 4, bar + length, top + _ROW - 5), fill=hex_of(name, classes))
        draw.text((bar + _BAR + 6, top + 2), write_percent(answers[name]), font=font, fill=_INK)
    return _encode(card)


def _write(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, size: int) -> None:
    draw.text(corner, space_out(text), font=choose_font(text, size) or load_font(size), fill=_INK)


def _frame(card: PILImage.Image) -> PILImage.Image:
    """Frame the crop with the dashed line of unsure answers."""
    pixels = np.array(card)
    low, high = _MARGIN + 2, _MARGIN + _FACE - 3
    outline(pixels, (low, low, high, high), _DASHES, 3, broken=True)
    return PILImage.fromarray(pixels)


def _encode(picture: PILImage.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
