"""Running a network over the faces of a split, exactly as the predictor would: one crop, and no more unless asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet
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
