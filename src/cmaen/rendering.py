"""Answers as small pictures, for notebooks: the annotated picture of a result, and a face beside its probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import cmaen.opencv  # isort: skip  # noqa: F401 - what is wrong with it is said here
import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from cmaen.drawing import describe_answer, draw_faces, hex_of, load_font
from cmaen.errors import escape
from cmaen.types import Image

SIDE = 640
"""The longer side of a thumbnail, in pixels, at most."""
_BARS = 8
"""Probabilities that are drawn, at most: the seven emotions and contempt, or the highest of more labels."""
_FACE, _ROW, _MARGIN = 176, 22, 8
_NAME, _BAR, _NUMBER = 92, 180, 52
"""Pixels: the side of a face, the height of a bar's row, the space around; the columns of the bars."""
_INK, _TRACK = "#1c2127", "#e6e8eb"


def render_picture(image: Image, faces: Sequence[Mapping[str, Any]], *, side: int = SIDE) -> bytes:
    """The picture with its faces drawn, made small before they are, so that their labels can be read; a PNG.

    Args:
        image: RGB uint8 [H, W, 3].
        faces: As :func:`cmaen.drawing.draw_faces` takes them.
        side: The longer side of the PNG, in pixels, at most.
    """
    factor = min(1.0, side / max(image.shape[:2]))
    small = image
    if factor < 1:
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    scaled = [{**face, "box": [value * factor for value in face["box"]]} for face in faces]
    return _encode(PILImage.fromarray(draw_faces(small, scaled)))


def render_face(face: Mapping[str, Any], crop: Image | None = None) -> bytes:
    """One face: its answer in words, its crop where there is one, and a bar for each probability; a PNG.

    Args:
        face: As :meth:`cmaen.results.Face.to_dict` gives it.
        crop: The face cut out, RGB uint8 [h, w, 3] or grey [h, w].
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
    draw, font = ImageDraw.Draw(card), load_font(14)
    draw.text((left, _MARGIN), _fit(describe_answer(face), 40), font=load_font(16), fill=_INK)
    for row, name in enumerate(shown, start=1):
        top = _MARGIN + row * _ROW
        bar = left + _NAME
        draw.text((left, top + 2), _fit(name, 12), font=font, fill=_INK)
        draw.rectangle((bar, top + 4, bar + _BAR, top + _ROW - 5), fill=_TRACK)
        length = round(_BAR * min(max(answers[name], 0.0), 1.0))
        if length:
            draw.rectangle((bar, top + 4, bar + length, top + _ROW - 5), fill=hex_of(name, classes))
        draw.text((bar + _BAR + 6, top + 2), f"{answers[name]:.1%}", font=font, fill=_INK)
    return _encode(card)


def _fit(text: str, most: int) -> str:
    """Text of one line that any font can draw, its end left out where it is long."""
    line = escape(text).replace("\n", " ").replace("\t", " ")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _encode(picture: PILImage.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
