"""Face detectors behind one protocol. A new one is one new file, one line in :data:`DETECTORS` and one test."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

from cmaen.errors import DetectorError, MissingExtraError
from cmaen.inference.detectors.base import Detector
from cmaen.inference.detectors.centerface import CenterFace
from cmaen.inference.detectors.compact import Compact
from cmaen.inference.detectors.haar import Haar
from cmaen.inference.detectors.yunet import YuNet

DETECTORS: dict[str, Callable[[Path | None, int | None], Detector]] = {
    "centerface": lambda model, threads: CenterFace(model, threads=threads),
    "compact": lambda model, threads: Compact(model, threads=threads),
    "haar": lambda *_: Haar(),
    "yunet": lambda model, _: YuNet(model),
}
AUTO = "auto"

log = logging.getLogger(__name__)


def build_detector(name: str = AUTO, *, threads: int | None = None) -> Detector:
    """A face detector by name.

    Args:
        name: One of :data:`DETECTORS`, optionally with a model file (``yunet:face_detection_yunet.onnx``), or ``auto``:
            CenterFace where the extra ``detect`` is installed, else OpenCV's built-in one, which is said once.
        threads: Of the detector's engine, where it has one; ``None`` for all cores.

    Raises:
        DetectorError: There is no such detector, or its model file cannot be read.
        MissingExtraError: Its package is not installed.
    """
    if name == AUTO:
        try:
            return CenterFace(threads=threads)
        except MissingExtraError:
            _advise()
            return Haar()
    kind, _, model = name.partition(":")
    if kind not in DETECTORS:
        raise DetectorError(f"{kind!r} is not a face detector; choose from {[AUTO, *sorted(DETECTORS)]}")
    return DETECTORS[kind](Path(model) if model else None, threads)


@cache
def _advise() -> None:
    """Say once a process that there is a better detector."""
    log.warning(
        "the built-in Haar detector is used: it misses turned and tilted faces and has no landmarks; "
        "for a good one: pip install 'cmaen[detect]'"
    )


__all__ = ["AUTO", "DETECTORS", "Detector", "build_detector"]
