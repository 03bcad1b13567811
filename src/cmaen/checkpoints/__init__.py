"""Checkpoints: a network's weights and their documentation, in a folder that one class reads and writes.

================== ==================================================================================================
``card.json``      what prediction needs, and the SHA-256 of every other file (:mod:`cmaen.checkpoints.card`)
``provenance.json`` how the weights were made (:mod:`cmaen.checkpoints.provenance`)
``metrics.json``   measured results (:mod:`cmaen.checkpoints.metrics`)
``history.csv``    the training, epoch by epoch (:mod:`cmaen.checkpoints.history`)
``seen.keys``      hashes of the faces it was trained on (:mod:`cmaen.checkpoints.seen`)
``model.*``        the weights: ``.safetensors`` for PyTorch, ``.onnx`` for ONNX Runtime, ``.xml`` and ``.bin`` for
                   OpenVINO
================== ==================================================================================================

Only :class:`Checkpoint` reads and writes these files. Other files in the folder are left alone.
"""

from cmaen.checkpoints.card import CARD, FILES, ONNX, OPENVINO, SAFETENSORS, Card, Scheme
from cmaen.checkpoints.checkpoint import Checkpoint, Documents, Where
from cmaen.checkpoints.history import HISTORY, Epoch
from cmaen.checkpoints.hub import SHIPPED, SMALL
from cmaen.checkpoints.metrics import METRICS, Figures, Measured, Metrics, OnPhotographs, TemperatureFit
from cmaen.checkpoints.provenance import PROVENANCE, Part, Provenance
from cmaen.checkpoints.registry import ModelEntry, list_models
from cmaen.checkpoints.seen import SEEN, SeenFaces

__all__ = [
    "CARD",
    "FILES",
    "HISTORY",
    "METRICS",
    "ONNX",
    "OPENVINO",
    "PROVENANCE",
    "SAFETENSORS",
    "SEEN",
    "SHIPPED",
    "SMALL",
    "Card",
    "Checkpoint",
    "Documents",
    "Epoch",
    "Figures",
    "Measured",
    "Metrics",
    "ModelEntry",
    "OnPhotographs",
    "Part",
    "Provenance",
    "Scheme",
    "SeenFaces",
    "TemperatureFit",
    "Where",
    "list_models",
]
