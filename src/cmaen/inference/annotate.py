"""Drawing what was found onto the picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from cmaen.several import require_several
from cmaen.types import UNCERTAIN, Image, colour_of


def annotate(image: Image, faces: Sequence[dict[str, Any]]) -> Image:
    """A copy of the picture with a box and a label for every face.

    Args:
        image: RGB uint8 [H, W, 3].
        faces: As :class:`~cmaen.inference.predictor.EmotionPredictor` gives them.

    Returns:
        RGB uint8 [H, W, 3].

    Raises:
        TypeError: ``faces`` is a single face, or an answer in place of its ``faces``.
    """
    require_several(faces, 'put it into a list, or take the ["faces"] of an answer', of="faces")
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
        label = _label(f"{who}{_said(face)}", size, colour, 2 * line)
        label_height, label_width = label.shape[:2]
        column = min(max(0, left), max(0, width - label_width))
        row = max(0, top - label_height if top >= label_height else min(bottom, height - label_height))
        part = picture[row : row + label_height, column : column + label_width]
        part[:] = label[: part.shape[0], : part.shape[1]]
    return picture


def _said(face: dict[str, Any]) -> str:
    """The answer in words: one emotion, or two where the network is uncertain, as the page says it."""
    answers = face.get("probabilities", {})
    if face["predicted_emotion"] != UNCERTAIN or UNCERTAIN in answers or len(answers) < 2:
        return f"{face['predicted_emotion']} {face['confidence']:.0%}"
    first, second, *_ = sorted(answers, key=answers.__getitem__, reverse=True)
    return f"unsure: maybe {first} or {second}"


@lru_cache(maxsize=256)
def _label(text: str, size: int, colour: tuple[int, int, int], margin: int) -> Image:
    """White text on a ground of the colour, RGB uint8 [h, w, 3]; a face keeps its label for many frames."""
    font = _font(size)
    left, top, right, bottom = (round(value) for value in font.getbbox(text))
    label = PILImage.new("RGB", (right - left + 2 * margin, bottom - top + 2 * margin), colour)
    ImageDraw.Draw(label).text((margin - left, margin - top), text, font=font, fill="white")
    return np.asarray(label)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
