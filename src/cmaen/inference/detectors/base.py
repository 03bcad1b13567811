"""What a detector is, and what detectors share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import cv2
import numpy as np

from cmaen.types import FaceBox, Image


class Detector(Protocol):
    """Finds the faces of a picture."""

    def __call__(self, image: Image) -> list[FaceBox]:
        """RGB uint8 [H, W, 3] -> faces in its pixels, the largest first; none is an empty list."""
        ...


def shrunk(image: Image, max_side: int) -> tuple[Image, float]:
    """The image with its longer side at most ``max_side``, and the factor that was applied."""
    height, width = image.shape[:2]
    factor = min(1.0, max_side / max(height, width))
    if factor == 1.0:
        return image, factor
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), factor


def largest_first(faces: Iterable[FaceBox]) -> list[FaceBox]:
    """The faces by falling area."""
    return sorted(faces, key=lambda face: -face.area)
