"""Running a network over the faces of a split, exactly as the predictor would: one crop, and no more unless asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.card import Card, read_card
from cmaen.checkpoints import keep_in_card, with_figures
from cmaen.data.ferplus import majority, perceived_distribution
from cmaen.data.splits import FaceSet, Split
from cmaen.engines import AUTO, Engine, Logits, answering, build_engine, probabilities
from cmaen.evaluation.calibration import BELIEF, FEW_FACES, calibration, cross_fitted, fit_temperature
from cmaen.evaluation.metrics import measure
from cmaen.evaluation.perceived import compare_shares
from cmaen.preprocessing import PreprocessSpec
from cmaen.types import PERCEIVED, PERCEIVED_LABELS

BATCH_SIZE = 64

log = logging.getLogger(__name__)


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
    """The temperatures that were fitted for a label scheme.

    Attributes:
        temperature, confidence_temperature: See :class:`cmaen.card.Scheme`.
        faces: How many they were fitted on.
        before, cross_fitted: ECE of the confidence in bins of equal mass: at temperature 1, and with each face at the
            temperature that fits the others.
        share_error: Of ``perceived``, cross-fitted, see :attr:`cmaen.evaluation.perceived.Shares.error`; else ``None``.
    """

    temperature: float
    confidence_temperature: float | None
    faces: int
    before: float
    cross_fitted: float
    share_error: float | None


def calibrate(
    checkpoint: Path,
    faces: FaceSet,
    *,
    engine: str = AUTO,
    copies: str = "with",
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, Fitted]:
    """Fit the temperatures of each label scheme, and keep them in the card; those of ``perceived`` need votes.

    Under ``perceived`` the probabilities fit the shares of the annotators, and the confidence fits how often the answer
    is that of most of them.

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
        perceived = scheme == PERCEIVED
        if perceived and faces.votes is None:
            continue
        some = faces.select(majority(faces) >= 0) if perceived else faces
        if not len(some):
            continue
        right = majority(some) if perceived else some.labels
        if len(some) < FEW_FACES:
            log.warning(
                "the temperature of %s is fitted on %d faces, so few that it is kept near 1; %d or more tell it well",
                scheme,
                len(some),
                FEW_FACES,
            )
        logits = logits_of(some, card.preprocess, answering(network, scheme), progress=progress)
        fitted, shares, share_error = fit_temperature(right, logits, belief=BELIEF), None, None
        if perceived:
            people = perceived_distribution(some)
            shares = fit_temperature(people, logits, belief=BELIEF)
            share_error = compare_shares(cross_fitted(people, logits, belief=BELIEF), people.astype(np.float64)).error
        plain, crossed = probabilities(logits), cross_fitted(right, logits, belief=BELIEF)
        before, after = (calibration(right, answers).ece_equal_mass for answers in (plain, crossed))
        temperature, of_confidence = (fitted, None) if shares is None else (shares, fitted)
        found[scheme] = Fitted(temperature, of_confidence, len(some), before, after, share_error)
    kept = {scheme: {**fitted._asdict(), "copies": copies} for scheme, fitted in found.items()}

    def calibrated(card: Card) -> Card:
        for scheme, fitted in found.items():
            card = card.with_temperature(scheme, fitted.temperature, fitted.confidence_temperature)
        return with_figures(card, {"calibration": kept})

    keep_in_card(checkpoint, calibrated)
    return found


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
    keep_in_card(checkpoint, lambda card: with_figures(card, {faces.title: figures}))
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
