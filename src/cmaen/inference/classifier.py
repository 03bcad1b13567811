"""The classifier of one face: crop, network input, logits, calibrated softmax."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Card, Checkpoint, Where
from cmaen.engines import AUTO, FEATURES, build_engine, onnx_session, probabilities, resolve_engine, select_output
from cmaen.inference.alignment import crop_face
from cmaen.types import FaceBox, Image

if TYPE_CHECKING:
    from cmaen.enhance.prediction import Enhancer

_MOST_AT_ONCE = 64
_Rows = TypeVar("_Rows", NDArray[np.float32], Sequence[NDArray[np.uint8]])


class FaceClassifier:
    """A checkpoint and its engine; safe to share between threads.

    Args:
        checkpoint: See :meth:`cmaen.checkpoints.Checkpoint.open`.
        engine: See :func:`cmaen.engines.build_engine`.
        threads, device: Passed to the engine.
        scheme: Label scheme of the answers; ``None`` for ``perceived`` if the checkpoint has it, otherwise its only
            scheme.
        contempt: Whether to answer contempt as well; only ``perceived`` has it.

    Attributes:
        card: Card of the checkpoint.
        folder: Folder of the checkpoint.
        engine: Name of the engine in use; never ``auto``.
        scheme: Name of the label scheme.
        labels: Labels of the answers, in order.
        sharpening: See :func:`cmaen.types.certainty_of`.

    Raises:
        CheckpointError: The checkpoint is missing or cannot be used; an :class:`~cmaen.errors.EnhancementError` if it
            was trained on enhanced faces, and what enhances them is not here.
        ConfigError: The engine or scheme does not exist, or the engine does not support the device here.
        MissingExtraError: The engine, or the enhancement by weights other than the package's, needs an extra.
    """

    card: Card
    folder: Path
    engine: str
    scheme: str
    labels: tuple[str, ...]
    sharpening: float

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
        self.scheme = self.card.resolve_scheme(scheme)
        self.card.select_labels(self.scheme, contempt)  # refuses a wrong scheme before anything is loaded
        self.engine = resolve_engine(engine, opened)
        self._engine = build_engine(self.engine, opened, threads=threads, device=device)
        self._enhancer = open_enhancer(opened, self.engine, threads, device)
        self._answer_with(self.scheme, contempt)

    def under(self, scheme: str | None, *, contempt: bool = False) -> FaceClassifier:
        """Return the same classifier, with the same engine, under another label scheme.

        Raises:
            ConfigError: The checkpoint does not have the scheme.
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
        """Cut out and align a face, RGB uint8 [side, side, 3]."""
        return crop_face(image, face, self.card.crop)

    def inputs(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Enhance face crops if the network expects it, and preprocess them into its input, float32 [N, 3, S, S]."""
        return self.card.preprocess(self.enhance(crops))

    def enhance(self, crops: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
        """Enhance face crops like the faces that the network was trained on; the same crops if those were not enhanced.

        Args:
            crops: RGB uint8 [h, w, 3] or grey [h, w], of any size.

        Returns:
            RGB uint8 [S, S, 3] each, in order.

        Raises:
            EnhancementError: A step fails.
        """
        return crops if self._enhancer is None else self._enhancer(crops)

    def probabilities(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Classify inputs, float32 [N, 3, S, S]; return probabilities, float64 [N, C], rows summing to 1."""
        if not len(inputs):
            return np.empty((0, len(self.labels)))
        logits = np.concatenate([self._logits(part) for part in _parts(inputs)])
        return probabilities(logits[:, : len(self.labels)], self._temperature)

    def reduce(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Shrink a face crop to the pixels that are seen, see :meth:`PreprocessSpec.reduce`: by the network, or by the
        enhancement before it.
        """
        return (self.card.preprocess if self._enhancer is None else self._enhancer).reduce(crop)

    def features(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the penultimate features, float32 [N, F], of inputs, float32 [N, 3, S, S]; [0, F] for no inputs.

        Raises:
            CheckpointError: The engine's file does not provide them.
        """
        side = self.card.preprocess.image_size
        parts = _parts(inputs) if len(inputs) else [np.zeros((1, 3, side, side), np.float32)]
        return np.concatenate([self._engine(part, FEATURES) for part in parts])[: len(inputs)]

    def __call__(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Classify face crops, RGB uint8 [h, w, 3] or grey [h, w] of any size; return probabilities, float64 [N, C]."""
        if not len(crops):
            return self.probabilities(self.inputs(crops))
        return np.concatenate([self.probabilities(self.inputs(part)) for part in _parts(crops)])

    def features_of(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Compute the penultimate features of face crops, float32 [N, F], see :meth:`features`."""
        if not len(crops):
            return self.features(self.inputs(crops))
        return np.concatenate([self.features(self.inputs(part)) for part in _parts(crops)])


def open_enhancer(
    checkpoint: Checkpoint, engine: str, threads: int | None = None, device: str = "cpu"
) -> Enhancer | None:
    """Build the enhancement that a card names, on the engine's device if that can run it; ``None`` if it names none.

    Raises:
        CmaenError: See :func:`cmaen.enhance.prediction.build_enhancer`.
    """
    if not checkpoint.card.enhancement:
        return None
    from cmaen.enhance.prediction import build_enhancer

    cuda = device == AUTO or device.startswith("cuda")
    return build_enhancer(
        checkpoint.card.enhancement,
        checkpoint.folder,
        open_session=partial(onnx_session, threads=threads, device=device if cuda and engine == "onnx" else "cpu"),
        threads=threads,
        device=device if cuda and engine != "openvino" else "cpu",
    )


def _parts(values: _Rows) -> list[_Rows]:
    """Split inputs or crops into batches for the network; the inputs of all at once would take far more memory."""
    return [values[start : start + _MOST_AT_ONCE] for start in range(0, len(values), _MOST_AT_ONCE)]
