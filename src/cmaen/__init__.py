"""CMAEN, the Cross-Modal Attention Emotion Network: faces go in, seven emotions with honest confidences come out.

from cmaen import EmotionPredictor

EmotionPredictor().predict_single("photo.jpg")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmaen.checkpoints import Checkpoint, list_models
    from cmaen.errors import CmaenError
    from cmaen.evaluation.calibrate import calibrate
    from cmaen.evaluation.evaluate import evaluate
    from cmaen.images.reader import read_image
    from cmaen.inference.annotate import annotate
    from cmaen.inference.detectors.base import DetectorOptions
    from cmaen.inference.predictor import EmotionPredictor
    from cmaen.inference.tables import to_arrow, to_pandas
    from cmaen.models.build import build_network
    from cmaen.models.checkpoint import load_checkpoint, save_checkpoint
    from cmaen.models.paper import CMAEN
    from cmaen.models.spec import ModelSpec
    from cmaen.results import Face, Result
    from cmaen.types import EMOTIONS, FaceBox

_HOMES = {
    "CMAEN": "cmaen.models.paper",
    "Checkpoint": "cmaen.checkpoints",
    "EMOTIONS": "cmaen.types",
    "CmaenError": "cmaen.errors",
    "DetectorOptions": "cmaen.inference.detectors.base",
    "EmotionPredictor": "cmaen.inference.predictor",
    "Face": "cmaen.results",
    "FaceBox": "cmaen.types",
    "ModelSpec": "cmaen.models.spec",
    "Result": "cmaen.results",
    "annotate": "cmaen.inference.annotate",
    "build_network": "cmaen.models.build",
    "calibrate": "cmaen.evaluation.calibrate",
    "evaluate": "cmaen.evaluation.evaluate",
    "list_models": "cmaen.checkpoints",
    "load_checkpoint": "cmaen.models.checkpoint",
    "read_image": "cmaen.images.reader",
    "save_checkpoint": "cmaen.models.checkpoint",
    "to_arrow": "cmaen.inference.tables",
    "to_pandas": "cmaen.inference.tables",
}

__version__ = "0.2.0"

__all__ = [
    "CMAEN",
    "EMOTIONS",
    "Checkpoint",
    "CmaenError",
    "DetectorOptions",
    "EmotionPredictor",
    "Face",
    "FaceBox",
    "ModelSpec",
    "Result",
    "__version__",
    "annotate",
    "build_network",
    "calibrate",
    "evaluate",
    "list_models",
    "load_checkpoint",
    "read_image",
    "save_checkpoint",
    "to_arrow",
    "to_pandas",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import cmaen`` is fast, and prediction needs no PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cmaen' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except AttributeError as error:  # Python would take it for a missing name
        from cmaen.errors import BrokenInstallationError

        raise BrokenInstallationError(f"cmaen.{name} cannot be imported: {error}") from error


def __dir__() -> list[str]:
    """List the public names, whether or not they were imported yet, without this file's own imports."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
