"""Running a network over the faces of a split, exactly as the predictor would: one crop, and no more unless asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.card import Card, folder_of, read_card
from cmaen.data.ferplus import majority, perceived_distribution
from cmaen.data.splits import FaceSet, Split
from cmaen.engines import AUTO, Engine, Logits, answering, build_engine, probabilities
from cmaen.evaluation.calibration import calibration, cross_fitted, fit_temperature
from cmaen.evaluation.metrics import measure
from cmaen.evaluation.perceived import compare_shares
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import PERCEIVED, PERCEIVED_LABELS

BATCH_SIZE = 64


def logits_of(
    faces: FaceSet,
    spec: PreprocessSpec,
    engine: Logits,
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


class Fitted(NamedTuple):
    """The temperature that was fitted for a label scheme.

    Attributes:
        temperature: The logits are divided by it.
        faces: How many it was fitted on.
        error: The name of the error: ECE in bins of equal mass, or for ``perceived`` the error of the shares.
        before, cross_fitted: That error at temperature 1, and with each face at the temperature that fits the others.
    """

    temperature: float
    faces: int
    error: str
    before: float
    cross_fitted: float


def calibrate(
    checkpoint: Path,
    faces: FaceSet,
    *,
    engine: str = AUTO,
    copies: str = "with",
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, Fitted]:
    """Fit the temperature of each label scheme, and keep it in the card: of ``perceived`` where the faces have votes.

    Args:
        checkpoint: Folder of a checkpoint.
        faces: Of the validation split.
        engine: See :func:`cmaen.engines.build_engine`.
        copies: Whether the faces are ``with`` or ``without`` those that have copies in Training, for the card.
        progress: Wraps the loop over the batches, to show how far it is.

    Returns:
        By scheme.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        SplitError: The faces are of another split.
    """
    faces.require(Split.VALIDATION, "calibration")
    card, network = read_card(checkpoint), build_engine(engine, checkpoint)
    found: dict[str, Fitted] = {}
    for scheme in card.schemes:
        if scheme == PERCEIVED and faces.votes is None:
            continue
        some = faces.select(majority(faces) >= 0) if scheme == PERCEIVED else faces
        targets = perceived_distribution(some) if scheme == PERCEIVED else some.labels
        logits = logits_of(some, card.preprocess, answering(network, scheme), progress=progress)
        measured = [_error(targets, answers) for answers in (probabilities(logits), cross_fitted(targets, logits))]
        name = "error of the shares" if scheme == PERCEIVED else "ECE, equal mass"
        found[scheme] = Fitted(fit_temperature(targets, logits), len(some), name, *measured)
        card = card.with_temperature(scheme, found[scheme].temperature)
    kept = {scheme: {**fitted._asdict(), "copies": copies} for scheme, fitted in found.items()}
    replace(card, metrics={**card.metrics, "calibration": kept}).write(folder_of(checkpoint))
    return found


def _error(targets: NDArray[np.int64] | NDArray[np.float32], answers: NDArray[np.float64]) -> float:
    if targets.ndim == 2:
        return compare_shares(answers, targets.astype(np.float64)).error
    return calibration(targets.astype(np.int64), answers).ece_equal_mass


def validate(checkpoint: Path, faces: FaceSet, *, device: str = "cpu") -> dict[str, Any]:
    """Measure the weights of a checkpoint in float32, and keep in its card what :func:`score` finds.

    Args:
        checkpoint: Folder with a ``model.safetensors``.
        faces: Of the validation split.
        device: That computes, see :func:`cmaen.devices.torch_device`.

    Raises:
        CheckpointError: The weights cannot be used.
        SplitError: The faces are of another split.
    """
    faces.require(Split.VALIDATION, "validation")
    card, engine = read_card(checkpoint), build_engine("torch", checkpoint, device=device)
    figures = score(faces, card, engine)
    replace(card, metrics={**card.metrics, faces.title: figures}).write(checkpoint)
    return figures


def score(faces: FaceSet, card: Card, engine: Engine) -> dict[str, Any]:
    """What a card keeps of a measurement on labelled faces.

    Returns:
        ``accuracy`` and ``macro_f1`` under the first label scheme; where the network has ``perceived`` and the faces
        have votes, the same against their majority under that key.
    """
    plain = measure(faces.labels, logits_of(faces, card.preprocess, engine).argmax(axis=1), faces.classes)
    kept: dict[str, Any] = {"accuracy": plain.accuracy, "macro_f1": plain.macro_f1}
    if PERCEIVED in card.schemes and faces.votes is not None:
        some = faces.select(majority(faces) >= 0)
        if len(some):
            logits = logits_of(some, card.preprocess, answering(engine, PERCEIVED))
            seen = measure(majority(some), logits.argmax(axis=1), PERCEIVED_LABELS)
            kept[PERCEIVED] = {"accuracy": seen.accuracy, "macro_f1": seen.macro_f1}
    return kept
