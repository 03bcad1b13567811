"""Faces made unrecognisable: an ellipse of a few coarse blocks.

A blur can be undone in part, because it keeps most of the information. A block keeps one colour, the mean of its
pixels, and here that is rounded as well: the rest is lost. The number of blocks does not depend on the size of the
face, so that a large face keeps no more than a small one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cmaen.opencv  # isort: skip  # noqa: F401 - reports a broken OpenCV
import cv2
import numpy as np

from cmaen.types import FaceBox, Image

ACROSS, DOWN, UP = 0.9, 1.0, 0.1
"""Half axes of the ellipse relative to the width and height of the box, and how far its centre lies above that of the
box, relative to the height: a detector's box ends at the forehead, and hair line and chin are to be covered."""
BLOCKS = 5
"""Number of blocks along the longer axis of the ellipse; about three of them lie on the width of a face."""
_LEAST_BLOCK = 6
"""Smallest side of a block in pixels, for tiny faces."""
_STEP = 16
"""Colours are rounded to the middle of steps of this width, out of 256."""


def pixelate_faces(image: Image, faces: Iterable[FaceBox]) -> Image:
    """Return a copy of the image in which an ellipse around each box consists of a few blocks.

    Args:
        image: RGB uint8 [H, W, 3].
        faces: Boxes in pixels of the image; they may lie outside it in part or whole.

    Returns:
        RGB uint8 [H, W, 3].
    """
    hidden: Image = image.copy()
    height, width = image.shape[:2]
    for face in faces:
        across, down = ACROSS * face.width, DOWN * face.height
        x, y = face.x + face.width / 2, face.y + (0.5 - UP) * face.height
        left, right = (_clip(edge, width) for edge in (math.floor(x - across), math.ceil(x + across)))
        top, bottom = (_clip(edge, height) for edge in (math.floor(y - down), math.ceil(y + down)))
        if left >= right or top >= bottom:
            continue
        block = max(_LEAST_BLOCK, 2 * max(across, down) / BLOCKS)
        columns = (np.arange(left, right) + 0.5 - x) / across  # [w]
        rows = (np.arange(top, bottom) + 0.5 - y) / down  # [h]
        inside = rows[:, None] ** 2 + columns[None] ** 2 <= 1  # [h, w]
        blocks = _coarsen(image[top:bottom, left:right], block)
        hidden[top:bottom, left:right][inside] = blocks[inside]
    return hidden


def pixelate_all(image: Image) -> Image:
    """Return the whole image as a few blocks, for one whose faces are unknown.

    Args:
        image: RGB uint8 [H, W, 3].
    """
    return _coarsen(image, max(_LEAST_BLOCK, max(image.shape[:2]) / BLOCKS))


def _coarsen(image: Image, block: float) -> Image:
    """Reduce an image to blocks of about this side, each of one rounded colour, and enlarge it again."""
    height, width = image.shape[:2]
    size = (max(1, round(width / block)), max(1, round(height / block)))
    means = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    means = means // _STEP * _STEP + _STEP // 2
    return np.asarray(cv2.resize(means, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def _clip(edge: int, most: int) -> int:
    return min(max(edge, 0), most)
