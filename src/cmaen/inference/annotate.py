"""Drawing what was found onto the picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from cmaen.types import COLOURS, FaceEmotion, Image


def annotate(image: Image, faces: Sequence[FaceEmotion]) -> Image:
    """A copy of the picture with a box and a label for every face.

    Args:
        image: RGB uint8 [H, W, 3].
        faces: In its pixels.

    Returns:
        RGB uint8 [H, W, 3].
    """
    picture: Image = image.copy()
    height, width = image.shape[:2]
    line = max(2, round(min(height, width) / 240))
    for found in faces:
        box = found.face
        left, top = round(box.x), round(box.y)
        right, bottom = round(box.x + box.width), round(box.y + box.height)
        cv2.rectangle(picture, (left, top), (right, bottom), COLOURS[found.emotion], line)
        who = "" if found.identity is None else f"{found.identity}: "
        size = round(min(max(11.0, box.width / 6), 32.0))
        label = _label(f"{who}{found.emotion} {found.confidence:.0%}", size, COLOURS[found.emotion], 2 * line)
        label_height, label_width = label.shape[:2]
        x = min(max(0, left), max(0, width - label_width))
        y = max(0, top - label_height if top >= label_height else min(bottom, height - label_height))
        part = picture[y : y + label_height, x : x + label_width]
        part[:] = label[: part.shape[0], : part.shape[1]]
    return picture


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
