"""Drawing what was found onto the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from cmaen.types import COLOURS, Image


def annotate(image: Image, faces: Sequence[dict[str, Any]]) -> Image:
    """A copy of the picture with a box and a label for every face.

    Args:
        image: RGB uint8 [H, W, 3].
        faces: As :class:`~cmaen.inference.predictor.EmotionPredictor` gives them.

    Returns:
        RGB uint8 [H, W, 3].
    """
    picture = PILImage.fromarray(image)
    draw = ImageDraw.Draw(picture)
    height, width = image.shape[:2]
    line = max(2, round(min(height, width) / 240))
    for face in faces:
        x, y, box_width, box_height = face["box"]
        colour = COLOURS[face["predicted_emotion"]]
        draw.rectangle((x, y, x + box_width, y + box_height), outline=colour, width=line)
        font = ImageFont.load_default(size=min(max(11.0, box_width / 6), 32.0))
        text = f"{face['predicted_emotion']} {face['confidence']:.0%}"
        if "identity" in face:
            text = f"{face['identity']}: {text}"
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        label_width, label_height = right - left + 4 * line, bottom - top + 4 * line
        label_x = min(max(0.0, x), max(0.0, width - label_width))
        label_y = y - label_height if y >= label_height else min(y + box_height, height - label_height)
        draw.rectangle((label_x, label_y, label_x + label_width, label_y + label_height), fill=colour)
        draw.text((label_x + 2 * line - left, label_y + 2 * line - top), text, font=font, fill="white")
    return np.asarray(picture)
