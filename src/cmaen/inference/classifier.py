"""From a face in a picture to its probabilities: crop, network input, logits, calibrated softmax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmaen.card import folder_of, read_card
from cmaen.engines import AUTO, build_engine, probabilities
from cmaen.errors import CmaenError
from cmaen.inference.alignment import crop_face
from cmaen.types import FaceBox, Image

_MOST_AT_ONCE = 64


class FaceClassifier:
    """A checkpoint and its engine; may be shared by threads.

    Args:
        checkpoint: Folder of a checkpoint, or a file in it.
        engine: See :func:`cmaen.engines.build_engine`.
        threads, device: Of the engine.

    Attributes:
        card: Of the checkpoint.
        folder: Of the checkpoint.

    Raises:
        CheckpointError: The checkpoint is missing or cannot be used.
        ConfigError: There is no such engine, or it cannot compute on the device here.
    """

    def __init__(
        self, checkpoint: Path, *, engine: str = AUTO, threads: int | None = None, device: str = "cpu"
    ) -> None:
        self.card = read_card(checkpoint)
        self.folder = folder_of(checkpoint)
        if self.card.enhancement:
            raise CmaenError(
                f"{checkpoint} was trained on enhanced images ({self.card.enhancement}), which cannot be made here"
            )
        self.labels = self.card.labels
        self._engine = build_engine(engine, checkpoint, threads=threads, device=device)

    def crop(self, image: Image, face: FaceBox) -> Image:
        """A face cut out and aligned, RGB uint8 [side, side, 3]."""
        return crop_face(image, face, self.card.crop)

    def inputs(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """The network's input for face crops, float32 [N, 3, S, S]."""
        return self.card.preprocess(crops)

    def probabilities(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """float32 [N, 3, S, S] -> probabilities float64 [N, C], rows summing to 1."""
        if not len(inputs):
            return np.empty((0, len(self.labels)))
        return probabilities(np.concatenate([self._engine(part) for part in _parts(inputs)]), self.card.temperature)

    def features(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [N, 3, S, S] -> the penultimate features float32 [N, F]; F is there for no input, too.

        Raises:
            CheckpointError: The file of the engine does not give them.
        """
        side = self.card.preprocess.image_size
        parts = _parts(inputs) if len(inputs) else [np.zeros((1, 3, side, side), np.float32)]
        return np.concatenate([self._engine.features(part) for part in parts])[: len(inputs)]

    def __call__(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Face crops, RGB uint8 [h, w, 3] or grey [h, w] of any size -> probabilities float64 [N, C]."""
        return self.probabilities(self.inputs(crops))


def _parts(inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [inputs[start : start + _MOST_AT_ONCE] for start in range(0, len(inputs), _MOST_AT_ONCE)]
