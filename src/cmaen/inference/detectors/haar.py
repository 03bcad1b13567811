"""OpenCV's Haar cascade (Viola and Jones, 2001): always there, good on upright frontal faces, no landmarks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import largest_first, shrunk
from cmaen.types import FaceBox, Image


class Haar:
    """The frontal-face cascade that OpenCV carries.

    Args:
        min_neighbors: How many overlapping hits make a face.
        min_side: Smaller faces are not looked for, in pixels.
        max_side: Larger pictures are shrunk to it first.
    """

    def __init__(self, *, min_neighbors: int = 8, min_side: int = 24, max_side: int = 1280) -> None:
        folder = Path(cv2.__file__).parent / "data"
        self._cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))
        if self._cascade.empty():
            raise DetectorError("this OpenCV has no Haar cascades; install opencv-python 4")
        self.min_neighbors = min_neighbors
        self.min_side = min_side
        self.max_side = max_side

    def __call__(self, image: Image) -> list[FaceBox]:
        """See :class:`~cmaen.inference.detectors.base.Detector`."""
        small, factor = shrunk(image, self.max_side)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        side = (self.min_side, self.min_side)
        boxes = self._cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=self.min_neighbors, minSize=side)
        return largest_first(FaceBox(x, y, w, h) for x, y, w, h in (np.array(boxes).reshape(-1, 4) / factor).tolist())
