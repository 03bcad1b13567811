"""YuNet (Wu et al., 2023) by OpenCV: small, fast, with landmarks; no package carries its model, so it goes by path."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import largest_first, shrunk
from cmaen.types import FaceBox, Image


class YuNet:
    """YuNet.

    Args:
        model: ``face_detection_yunet_*.onnx`` of OpenCV's model zoo.
        min_score: Faces below it are dropped.
        max_side: Larger pictures are shrunk to it first.

    Raises:
        DetectorError: The model is not given, or cannot be read.
    """

    def __init__(self, model: Path | None = None, *, min_score: float = 0.8, max_side: int = 960) -> None:
        if model is None or not model.is_file():
            raise DetectorError(
                f"YuNet needs its model file, as in yunet:face_detection_yunet.onnx; there is no {model}"
            )
        try:
            self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), score_threshold=min_score)
        except cv2.error as error:
            raise DetectorError(f"{model} cannot be read as a YuNet model: {error.err}") from error
        self.max_side = max_side

    def __call__(self, image: Image) -> list[FaceBox]:
        """See :class:`~cmaen.inference.detectors.base.Detector`."""
        small, factor = shrunk(image, self.max_side)
        self._net.setInputSize((small.shape[1], small.shape[0]))
        _, found = self._net.detect(np.ascontiguousarray(small[:, :, ::-1]))  # OpenCV's models take BGR
        faces = []
        for row in found if found is not None else ():
            x, y, width, height = (row[:4] / factor).tolist()
            landmarks = (row[4:14].reshape(5, 2) / factor).tolist()
            faces.append(FaceBox(x, y, width, height, float(row[14]), tuple((px, py) for px, py in landmarks)))
        return largest_first(faces)
