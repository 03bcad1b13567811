"""The colours of the emotions, and drawing faces onto pictures with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import cmaen.opencv  # isort: skip  # noqa: F401 - what is wrong with it is said here
import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from cmaen.types import CONTEMPT, UNCERTAIN, Image

PALETTE: dict[str, str] = {
    "angry": "#e74751",
    "disgust": "#4a5205",
    "fear": "#6e24dd",
    "happy": "#cc7b0b",
    "neutral": "#869298",
    "sad": "#16519c",
    "surprise": "#703c5e",
    CONTEMPT: "#019dcc",
}
"""The colours of the emotions, ``#rrggbb``; every picture, plot and page of this package takes them from here.

Any kind of colour vision tells them apart (tests/test_palette.py).
"""

_UNSURE = "#404040"
"""Of an answer that the network is not sure of."""
_OTHERS = tuple(PALETTE.values())
"""Of labels of the user's own, in turn."""


def hex_of(name: str, classes: Sequence[str]) -> str:
    """The colour of a class in pictures and plots, ``#rrggbb``; that of an emotion is always the same.

    Args:
        name: Of the class, or :data:`~cmaen.types.UNCERTAIN`.
        classes: All that the network tells apart.

    Raises:
        ValueError: The name is neither an emotion nor one of the classes.
    """
    if name == UNCERTAIN and name not in classes:
        return _UNSURE
    return PALETTE[name] if name in PALETTE else _OTHERS[classes.index(name) % len(_OTHERS)]


def colour_of(name: str, classes: Sequence[str]) -> tuple[int, int, int]:
    """The same colour as red, green and blue, 0 to 255."""
    digits = hex_of(name, classes)
    return int(digits[1:3], 16), int(digits[3:5], 16), int(digits[5:7], 16)


def draw_faces(image: Image, faces: Iterable[Mapping[str, Any]]) -> Image:
    """A copy of the picture with a box and a label for every face.

    Args:
        image: RGB uint8 [H, W, 3].
        faces: As :meth:`cmaen.results.Face.to_dict` gives them; ``box``, ``predicted_emotion`` and ``confidence`` are
            read, and ``identity`` and ``probabilities`` where they are there.

    Returns:
        RGB uint8 [H, W, 3].
    """
    picture: Image = image.copy()
    height, width = image.shape[:2]
    line = max(2, round(min(height, width) / 240))
    for face in faces:
        x, y, across, down = face["box"]
        left, top, right, bottom = round(x), round(y), round(x + across), round(y + down)
        colour = colour_of(face["predicted_emotion"], list(face.get("probabilities", ())))
        cv2.rectangle(picture, (left, top), (right, bottom), colour, line)
        who = f"{face['identity']}: " if "identity" in face else ""
        size = round(min(max(11.0, across / 6), 32.0))
        label = _draw_label(f"{who}{describe_answer(face)}", size, colour, 2 * line)
        label_height, label_width = label.shape[:2]
        column = min(max(0, left), max(0, width - label_width))
        row = max(0, top - label_height if top >= label_height else min(bottom, height - label_height))
        part = picture[row : row + label_height, column : column + label_width]
        part[:] = label[: part.shape[0], : part.shape[1]]
    return picture


def describe_answer(face: Mapping[str, Any]) -> str:
    """The answer in words: one emotion, or two where the network is unsure, as the page says it."""
    answers = face.get("probabilities", {})
    if face["predicted_emotion"] != UNCERTAIN or UNCERTAIN in answers or len(answers) < 2:
        return f"{face['predicted_emotion']} {face['confidence']:.0%}"
    first, second, *_ = sorted(answers, key=answers.__getitem__, reverse=True)
    return f"unsure: maybe {first} or {second}"


@lru_cache(maxsize=32)
def load_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that every machine draws the same."""
    return ImageFont.load_default(size=size)


@lru_cache(maxsize=256)
def _draw_label(text: str, size: int, colour: tuple[int, int, int], margin: int) -> Image:
    """White text on a ground of the colour, RGB uint8 [h, w, 3]; a face keeps its label for many frames."""
    font = load_font(size)
    left, top, right, bottom = (round(value) for value in font.getbbox(text))
    label = PILImage.new("RGB", (right - left + 2 * margin, bottom - top + 2 * margin), colour)
    ImageDraw.Draw(label).text((margin - left, margin - top), text, font=font, fill="white")
    return np.asarray(label)
