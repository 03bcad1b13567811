"""Checkpoints: a network's weights with all that is known of them, in a folder that one class reads and writes.

================== ==================================================================================================
``card.json``      what prediction needs, and the SHA-256 of every other file (:mod:`cmaen.checkpoints.card`)
``provenance.json`` how the weights were made (:mod:`cmaen.checkpoints.provenance`)
``metrics.json``   what was measured of them (:mod:`cmaen.checkpoints.metrics`)
``history.csv``    how the training went, epoch by epoch (:mod:`cmaen.checkpoints.history`)
``model.*``        the weights: ``.safetensors`` for PyTorch, ``.onnx`` for ONNX Runtime, ``.xml`` and ``.bin`` for
                   OpenVINO
================== ==================================================================================================

Nothing but :class:`Checkpoint` reads or writes these files. Foreign files in the folder are left alone.
"""

from cmaen.checkpoints.card import CARD, FILES, ONNX, OPENVINO, SAFETENSORS, Card, Scheme
from cmaen.checkpoints.checkpoint import Checkpoint, Documents, Where
from cmaen.checkpoints.history import HISTORY, Epoch
from cmaen.checkpoints.hub import SHIPPED
from cmaen.checkpoints.metrics import METRICS, Figures, Measured, Metrics, OnPhotographs, TemperatureFit
from cmaen.checkpoints.provenance import PROVENANCE, Part, Provenance
from cmaen.checkpoints.registry import ModelEntry, list_models

__all__ = [
    "CARD",
    "FILES",
    "HISTORY",
    "METRICS",
    "ONNX",
    "OPENVINO",
    "PROVENANCE",
    "SAFETENSORS",
    "SHIPPED",
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
    "TemperatureFit",
    "Where",
    "list_models",
]
