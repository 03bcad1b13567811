"""Running a network over the faces of a split, exactly as the predictor would: one crop, and no more unless asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmaen.card import read_card
from cmaen.data.splits import FaceSet, Split
from cmaen.engines import build_engine
from cmaen.evaluation.metrics import Metrics, measure
from cmaen.preprocessing import PreprocessSpec

BATCH_SIZE = 64


def logits_of(
    faces: FaceSet,
    spec: PreprocessSpec,
    engine: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    *,
    mirrored: bool = False,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> NDArray[np.float32]:
    """The logits of all faces, float32 [N, C].

    Args:
        faces: Of one split.
        spec: Of the checkpoint.
        engine: float32 [B, 3, H, W] -> logits [B, C].
        mirrored: Turn every face left to right first; the mean with the plain logits is test-time augmentation.
        progress: Wraps the loop over the batches, to show how far it is.
    """
    images = faces.images[:, :, ::-1] if mirrored else faces.images
    parts = [
        engine(spec(list(images[start : start + BATCH_SIZE]))) for start in progress(range(0, len(faces), BATCH_SIZE))
    ]
    return np.concatenate(parts) if parts else np.empty((0, len(faces.classes)), np.float32)


def validate(checkpoint: Path, faces: FaceSet, *, device: str = "cpu") -> Metrics:
    """Measure the weights of a checkpoint in float32, and keep accuracy and macro-F1 in its card.

    Args:
        checkpoint: Folder with a ``model.safetensors``.
        faces: Of the validation split.
        device: That computes, see :func:`cmaen.devices.torch_device`.

    Raises:
        CheckpointError: The weights cannot be used.
        SplitError: The faces are of another split.
    """
    faces.require(Split.VALIDATION, "validation")
    card = read_card(checkpoint)
    logits = logits_of(faces, card.preprocess, build_engine("torch", checkpoint, device=device))
    figures = measure(faces.labels, logits.argmax(axis=1), faces.classes)
    kept = {"accuracy": figures.accuracy, "macro_f1": figures.macro_f1}
    replace(card, metrics={**card.metrics, faces.title: kept}).write(checkpoint)
    return figures
