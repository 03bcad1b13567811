"""Alignment of a detected face: a crop that is square and upright like the training faces."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.preprocessing import CropSpec
from cmaen.types import FaceBox, Image

MAX_SIDE = 4096


def crop_face(image: Image, face: FaceBox, spec: CropSpec) -> NDArray[np.uint8]:
    """Cut out one face as the spec says; pixels beyond the image repeat its edge.

    Args:
        image: RGB uint8 [H, W, 3].
        face: Box in pixels of the image, with landmarks if they are known.
        spec: Size of the crop relative to the box.

    Returns:
        RGB uint8 [side, side, 3], at the scale of the image, with a side of at most :data:`MAX_SIDE`.
    """
    angle, margin = 0.0, spec.margin
    if face.landmarks is not None:
        (left_x, left_y), (right_x, right_y), *_ = face.landmarks
        angle, margin = math.atan2(right_y - left_y, right_x - left_x), spec.landmark_margin
    side = max(face.width, face.height) * margin
    center = np.array([face.x + face.width / 2, face.y + face.height / 2])
    pixels = min(max(round(side), 1), MAX_SIDE)
    image, center = _around(image, center, reach=side)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) * (
        pixels / max(side, 1.0)
    )
    matrix = np.column_stack([turn, pixels / 2 - 0.5 - turn @ (center - 0.5)])
    warped = cv2.warpAffine(image, matrix, (pixels, pixels), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def read_boxes(boxes: Sequence[FaceBox | Sequence[float]], image: Image) -> list[FaceBox]:
    """Check boxes that the caller gives; each of them must touch the image.

    Args:
        boxes: ``(x, y, width, height)`` or :class:`~cmaen.types.FaceBox`, in pixels.
        image: RGB uint8 [H, W, 3].

    Raises:
        TypeError: The argument is a single box.
        ValueError: A box is malformed or lies outside the image; the message says which.
    """
    if isinstance(boxes, FaceBox) or (
        len(boxes) == 4 and not any(hasattr(box, "__len__") or isinstance(box, FaceBox) for box in boxes)
    ):
        raise TypeError("boxes must be a list of boxes, not a single box; put it into a list")
    return [_read_box(number, box, image) for number, box in enumerate(boxes)]


def _read_box(number: int, box: FaceBox | Sequence[float], image: Image) -> FaceBox:
    if not isinstance(box, FaceBox):
        try:
            x, y, width, height = map(float, box)
            box = FaceBox(x, y, width, height)
        except (TypeError, ValueError) as error:
            raise ValueError(f"box {number} is not x, y, width, height: {box!r} ({error})") from error
    height, width = image.shape[:2]
    if box.x >= width or box.y >= height or box.x + box.width <= 0 or box.y + box.height <= 0:
        raise ValueError(
            f"box {number} lies outside the image of {width} x {height} pixels: x {box.x:g}, y {box.y:g}, "
            f"width {box.width:g}, height {box.height:g}"
        )
    return box


def _around(image: Image, center: NDArray[np.float64], *, reach: float) -> tuple[Image, NDArray[np.float64]]:
    """Cut out what lies within ``reach`` of a point, and move the point along; OpenCV cannot warp very wide images."""
    height, width = image.shape[:2]
    low = np.clip(np.floor(center - reach).astype(int), 0, [width - 1, height - 1])
    high = np.maximum(np.ceil(center + reach).astype(int) + 1, low + 1)
    return image[low[1] : high[1], low[0] : high[0]], center - low
