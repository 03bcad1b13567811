"""Face detectors behind one protocol. A new one needs one new file, one line in
:data:`~cmaen.inference.detectors.base.DETECTORS` and one test; one in another package is a plug-in, see
:mod:`cmaen.plugins`.
"""

from __future__ import annotations

from pathlib import Path

from cmaen import plugins
from cmaen.errors import DetectorError
from cmaen.inference.detectors.base import DEFAULT, DETECTORS, OWN, Detector, DetectorOptions, bound_opencv
from cmaen.inference.registry import load


def build_detector(name: str = DEFAULT, *, options: DetectorOptions = OWN, threads: int | None = None) -> Detector:
    """Build a face detector by its name.

    Args:
        name: One of :data:`~cmaen.inference.detectors.base.DETECTORS` or a plug-in, followed by a model file if the
            detector needs one (``centerface:centerface.onnx``) or to replace its own
            (``yunet:face_detection_yunet.onnx``).
        options: Sizes and scores; open options take the detector's own values.
        threads: Threads of the detector's engine; ``None`` for all cores. OpenCV uses the process's threads.

    Raises:
        DetectorError: The detector does not exist, its model file is missing or unreadable, or it lacks an option.
        PluginError: The detector of another package cannot be imported or built.
    """
    kind, _, model = name.partition(":")
    found = load(DETECTORS, kind, "a face detector", DetectorError, plugins=plugins.DETECTORS)
    bound_opencv()
    detector: Detector = found(Path(model) if model else None, options=options, threads=threads)
    return detector


__all__ = ["DEFAULT", "DETECTORS", "Detector", "DetectorOptions", "build_detector"]
