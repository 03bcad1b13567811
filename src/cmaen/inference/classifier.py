"""From a face in a picture to its probabilities: crop, network input, logits, calibrated softmax."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Checkpoint, Where
from cmaen.engines import AUTO, FEATURES, build_engine, probabilities, resolve_engine, select_output
from cmaen.errors import CmaenError
from cmaen.inference.alignment import crop_face
from cmaen.types import FaceBox, Image

_MOST_AT_ONCE = 64
_Rows = TypeVar("_Rows", NDArray[np.float32], Sequence[NDArray[np.uint8]])


class FaceClassifier:
    """A checkpoint and its engine; may be shared by threads.

    Args:
        checkpoint: See :meth:`cmaen.checkpoints.Checkpoint.open`.
        engine: See :func:`cmaen.engines.build_engine`.
        threads, device: Of the engine.
        scheme: Label scheme to answer with; ``None``: ``perceived`` where the checkpoint has it, else its only one.
        contempt: Answer contempt as well, which ``perceived`` knows.

    Attributes:
        card: Of the checkpoint.
        folder: Of the checkpoint.
        engine: The name of what computes; never ``auto``.
        scheme: The name of the label scheme.
        labels: Of the answers.
        sharpening: See :func:`cmaen.types.certainty_of`.

    Raises:
        CheckpointError: The checkpoint is missing or cannot be used.
        ConfigError: There is no such engine or scheme, or the engine cannot compute on the device here.
    """

    def __init__(
        self,
        checkpoint: Where = None,
        *,
        engine: str = AUTO,
        threads: int | None = None,
        device: str = "cpu",
        scheme: str | None = None,
        contempt: bool = False,
    ) -> None:
        opened = Checkpoint.open(checkpoint)
        self.card, self.folder = opened.card, opened.folder
        if self.card.enhancement:
            raise CmaenError(
                f"{self.folder} was trained on enhanced images ({self.card.enhancement}), which cannot be made here"
            )
        self.scheme = self.card.resolve_scheme(scheme)
        self.card.select_labels(self.scheme, contempt)  # a wrong scheme is refused before anything is loaded
        self.engine = resolve_engine(engine, opened)
        self._engine = build_engine(self.engine, opened, threads=threads, device=device)
        self._answer_with(self.scheme, contempt)

    def under(self, scheme: str | None, *, contempt: bool = False) -> FaceClassifier:
        """The same classifier, with the same engine, under another label scheme.

        Raises:
            ConfigError: The checkpoint does not have it.
        """
        other = copy(self)
        other._answer_with(scheme, contempt)
        return other

    def _answer_with(self, scheme: str | None, contempt: bool) -> None:
        self.scheme = self.card.resolve_scheme(scheme)
        answered = self.card.select_labels(self.scheme, contempt)
        self.labels, self._temperature, self.sharpening = answered.labels, answered.temperature, answered.sharpening
        self._logits = select_output(self._engine, self.scheme)

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
        logits = np.concatenate([self._logits(part) for part in _parts(inputs)])
        return probabilities(logits[:, : len(self.labels)], self._temperature)

    def reduce(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What of a face crop the network sees, in as few bytes as hold it, see :meth:`PreprocessSpec.reduce`."""
        return self.card.preprocess.reduce(crop)

    def features(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [N, 3, S, S] -> the penultimate features float32 [N, F]; F is there for no input, too.

        Raises:
            CheckpointError: The file of the engine does not give them.
        """
        side = self.card.preprocess.image_size
        parts = _parts(inputs) if len(inputs) else [np.zeros((1, 3, side, side), np.float32)]
        return np.concatenate([self._engine(part, FEATURES) for part in parts])[: len(inputs)]

    def __call__(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Face crops, RGB uint8 [h, w, 3] or grey [h, w] of any size -> probabilities float64 [N, C]."""
        if not len(crops):
            return self.probabilities(self.inputs(crops))
        return np.concatenate([self.probabilities(self.inputs(part)) for part in _parts(crops)])

    def features_of(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Face crops likewise -> the penultimate features float32 [N, F], see :meth:`features`."""
        if not len(crops):
            return self.features(self.inputs(crops))
        return np.concatenate([self.features(self.inputs(part)) for part in _parts(crops)])


def _parts(values: _Rows) -> list[_Rows]:
    """Inputs or crops, so many as go through the network at once: the inputs of all would take far more memory."""
    return [values[start : start + _MOST_AT_ONCE] for start in range(0, len(values), _MOST_AT_ONCE)]
