"""Face detectors behind one protocol. A new one is one new file, one line in :data:`DETECTORS` and one test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import DEFAULT, OWN, Detector, DetectorOptions, bound_opencv
from cmaen.inference.detectors.centerface import CenterFace
from cmaen.inference.detectors.haar import Haar
from cmaen.inference.detectors.yunet import YuNet

DETECTORS: dict[str, Callable[[Path | None, DetectorOptions, int | None], Detector]] = {
    "centerface": lambda model, options, threads: CenterFace(model, options=options, threads=threads),
    "haar": lambda _, options, __: Haar(options=options),
    "yunet": lambda model, options, _: YuNet(model, options=options),
}


def build_detector(name: str = DEFAULT, *, options: DetectorOptions = OWN, threads: int | None = None) -> Detector:
    """A face detector by name.

    Args:
        name: One of :data:`DETECTORS`, with a model file where it needs one (``centerface:centerface.onnx``) or where
            it shall not be its own (``yunet:face_detection_yunet.onnx``).
        options: Sizes and scores; the detector's own where they are left open.
        threads: Of a detector on ONNX Runtime, ``None`` for all cores; those on OpenCV take the process's threads.

    Raises:
        DetectorError: There is no such detector, its model file is missing or cannot be read, or it lacks an option.
    """
    kind, _, model = name.partition(":")
    if kind not in DETECTORS:
        raise DetectorError(f"{kind!r} is not a face detector; choose from {sorted(DETECTORS)}")
    bound_opencv()
    return DETECTORS[kind](Path(model) if model else None, options, threads)


__all__ = ["DEFAULT", "DETECTORS", "Detector", "DetectorOptions", "build_detector"]
