"""OpenCV's Haar cascade (Viola and Jones, 2001): the last resort; upright frontal faces only, and no landmarks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import OWN, DetectorOptions, Found, Pool, ShrinkingDetector
from cmaen.types import Image

_FILE = "haarcascade_frontalface_default.xml"
_SMALLEST = 24  # pixels of the searched picture


class Haar(ShrinkingDetector):
    """The frontal-face cascade that OpenCV carries.

    Args:
        options: Its own: pictures of 1,280 pixels; there are no scores to set a bound to.
        min_neighbors: How many overlapping hits make a face.

    Raises:
        DetectorError: The options have a ``min_score``, or this OpenCV has no cascades.
    """

    def __init__(self, *, options: DetectorOptions = OWN, min_neighbors: int = 8) -> None:
        if options.min_score is not None:
            raise DetectorError("the detector haar gives no scores; leave min_score out, or choose another detector")
        super().__init__(options, max_side=1280, min_score=0.0)
        self.min_neighbors = min_neighbors
        self._cascades = Pool(_cascade)

    def search(self, image: Image) -> Found:
        """See :class:`~cmaen.inference.detectors.base.ShrinkingDetector`."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        smallest = (_SMALLEST, _SMALLEST)
        with self._cascades() as cascade:
            boxes = cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=self.min_neighbors, minSize=smallest)
        return Found(np.array(boxes, np.float64).reshape(-1, 4), np.ones(len(boxes)))


def _cascade() -> cv2.CascadeClassifier:
    cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / _FILE))
    if cascade.empty():
        raise DetectorError("this OpenCV has no Haar cascades; install opencv-python-headless 4")
    return cascade
