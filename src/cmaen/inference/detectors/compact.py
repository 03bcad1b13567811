"""This project's own detector: small, fast, five landmarks; distilled from CenterFace (``configs/detector.yaml``)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cmaen.engines import onnx_session
from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import largest_first, shrunk
from cmaen.types import FaceBox, Image

_MULTIPLE = 32


class Compact:
    """The compact detector on ONNX Runtime.

    Args:
        model: ``detector.onnx`` as ``cmaen train --config configs/detector.yaml`` writes it.
        min_score: Faces below it are dropped.
        max_overlap: Of two faces that overlap by more (intersection over union) the weaker is dropped.
        max_side: Larger pictures are shrunk to it first.
        threads: Of the engine; ``None`` for all cores.

    Raises:
        DetectorError: The model is not given, or cannot be read.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        min_score: float = 0.5,
        max_overlap: float = 0.4,
        max_side: int = 640,
        threads: int | None = None,
    ) -> None:
        if model is None or not model.is_file():
            raise DetectorError(
                f"the compact detector needs its model file, as in compact:detector.onnx; there is no {model}"
            )
        self.min_score = min_score
        self.max_overlap = max_overlap
        self.max_side = max_side
        try:
            self._session = onnx_session(model, threads)
        except Exception as error:  # ONNX Runtime's errors share no public base
            raise DetectorError(f"{model} cannot be loaded as the compact detector: {error}") from error

    def __call__(self, image: Image) -> list[FaceBox]:
        """See :class:`~cmaen.inference.detectors.base.Detector`."""
        small, _ = shrunk(image, self.max_side)
        height, width = (max(2, -(-side // _MULTIPLE)) * _MULTIPLE for side in small.shape[:2])
        pixels = cv2.copyMakeBorder(
            small, 0, height - small.shape[0], 0, width - small.shape[1], cv2.BORDER_CONSTANT, value=(127, 127, 127)
        )
        scores, boxes, marks = self._session.run(None, {"pictures": pixels.astype(np.float32).transpose(2, 0, 1)[None]})
        sure = scores > self.min_score
        scores, boxes, marks = scores[sure], boxes[sure], marks[sure].reshape(-1, 5, 2)
        scale = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        faces = []
        for i in np.ravel(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), self.min_score, self.max_overlap)):
            x, y, w, h = (boxes[i] * np.tile(scale, 2)).tolist()
            landmarks = tuple((px, py) for px, py in (marks[i] * scale).tolist())
            faces.append(FaceBox(x, y, w, h, float(scores[i]), landmarks))
        return largest_first(faces)
