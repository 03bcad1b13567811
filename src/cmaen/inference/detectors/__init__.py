"""Face detectors behind one protocol. A new one is one new file, one line in
:data:`~cmaen.inference.detectors.base.DETECTORS` and one test.
"""

from __future__ import annotations

from pathlib import Path

from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import DEFAULT, DETECTORS, OWN, Detector, DetectorOptions, bound_opencv
from cmaen.inference.registry import load


def build_detector(name: str = DEFAULT, *, options: DetectorOptions = OWN, threads: int | None = None) -> Detector:
    """A face detector by name.

    Args:
        name: One of :data:`~cmaen.inference.detectors.base.DETECTORS`, with a model file where it needs one
            (``centerface:centerface.onnx``) or where it shall not be its own (``yunet:face_detection_yunet.onnx``).
        options: Sizes and scores; the detector's own where they are left open.
        threads: Of its engine; ``None`` for all cores. What OpenCV does takes the process's threads.

    Raises:
        DetectorError: There is no such detector, its model file is missing or cannot be read, or it lacks an option.
    """
    kind, _, model = name.partition(":")
    found = load(DETECTORS, kind, "a face detector", DetectorError)
    bound_opencv()
    detector: Detector = found(Path(model) if model else None, options=options, threads=threads)
    return detector


__all__ = ["DEFAULT", "DETECTORS", "Detector", "DetectorOptions", "build_detector"]
