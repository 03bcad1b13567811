"""Confidences that mean what they say: ``cmaen calibrate`` as functions with typed results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cmaen.checkpoints import Checkpoint, Documents, TemperatureFit, Where
from cmaen.data.faces import find_data, load_for
from cmaen.data.ferplus import AUTO as OWN_VOTES
from cmaen.data.ferplus import majority, perceived_distribution, with_votes
from cmaen.data.splits import FaceSet, Split
from cmaen.data.tree import require_enhancement
from cmaen.engines import AUTO, build_engine, probabilities, select_output
from cmaen.errors import SplitError
from cmaen.evaluation.calibration import BELIEF, FEW_FACES, calibration, cross_fit, fit_temperature
from cmaen.evaluation.perceived import compare_shares
from cmaen.evaluation.run import logits_of, warn_of_seen
from cmaen.evaluation.splits import exclude_copies
from cmaen.types import PERCEIVED

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CalibrationResult:
    """How the temperatures of a checkpoint were fitted.

    Attributes:
        checkpoint: With the new temperatures.
        split: The name of the faces that they were fitted on.
        copies: Whether these are ``with`` or ``without`` those that have copies in Training.
        fits: By label scheme.
    """

    checkpoint: Checkpoint
    split: str
    copies: str
    fits: Mapping[str, TemperatureFit]

    def to_dict(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return {
            "checkpoint": self.checkpoint.card.name,
            "split": self.split,
            "copies": self.copies,
            "schemes": {scheme: fit.to_dict() for scheme, fit in self.fits.items()},
        }


def calibrate(
    checkpoint: Where,
    data: Path | str | FaceSet | None = None,
    *,
    votes: Path | str | None = OWN_VOTES,
    engine: str = AUTO,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> CalibrationResult:
    """Fit the temperature of each label scheme on validation faces, so that "0.8" means 80 %, and keep it.

    ``cmaen.calibrate("runs/mine/best", "faces.zip").fits["fer2013"].temperature``

    Args:
        checkpoint: Your own, see :meth:`cmaen.checkpoints.Checkpoint.open`; its card and its metrics are rewritten.
        data: In any form that :func:`cmaen.data.faces.load_faces` takes, of which the validation split is taken without
            the faces that have copies in Training; or faces of the validation split. ``None``: FER2013 where it is
            looked for, see :func:`cmaen.data.faces.find_data`.
        votes: FER+ votes, which ``perceived`` is calibrated on, see :func:`cmaen.evaluation.evaluate.evaluate`.
        engine: See :func:`cmaen.engines.build_engine`.
        progress: Wraps the loop over the batches, to show how far it is.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ConfigError: It is the package's or was fetched, so that others use it, too.
        DataError: The data cannot be read.
        SplitError: There is no validation split, or the faces are of another one.
    """
    opened = Checkpoint.open(checkpoint)
    opened.require_own()
    copies = "with"
    if isinstance(data, FaceSet):
        faces = data
    else:
        path, card = find_data() if data is None else Path(data), opened.card
        require_enhancement(path, card.enhancement)
        faces = load_for(card, path, Split.VALIDATION)
        try:
            faces = exclude_copies(faces, card, path, Split.VALIDATION.folder)["without near copies"]
            copies = "without"
        except SplitError as error:
            log.warning("copies are not left out: %s", error)
    if faces.votes is None or votes != OWN_VOTES:
        faces = with_votes(faces, votes)
    warn_of_seen(opened, faces)
    fits = fit_temperatures(opened, faces, engine=engine, copies=copies, progress=progress)
    return CalibrationResult(Checkpoint(opened.folder), faces.title, copies, fits)


def fit_temperatures(
    checkpoint: Where,
    faces: FaceSet,
    *,
    engine: str = AUTO,
    copies: str = "with",
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, TemperatureFit]:
    """Fit the temperatures of each label scheme on given faces, and keep them; those of ``perceived`` need votes.

    Under ``perceived`` the probabilities fit the shares of the annotators, and the confidence fits how often the answer
    is that of most of them.

    Args:
        checkpoint: See :meth:`cmaen.checkpoints.Checkpoint.open`.
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
    opened = Checkpoint.open(checkpoint)
    card, network = opened.card, build_engine(engine, opened)
    found: dict[str, TemperatureFit] = {}
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
        logits = logits_of(some, card.preprocess, select_output(network, scheme), progress=progress)
        fitted, shares, share_error = fit_temperature(right, logits, belief=BELIEF), None, None
        if perceived:
            people = perceived_distribution(some)
            shares = fit_temperature(people, logits, belief=BELIEF)
            share_error = compare_shares(cross_fit(people, logits, belief=BELIEF), people.astype(np.float64)).error
        plain, crossed = probabilities(logits), cross_fit(right, logits, belief=BELIEF)
        before, after = (calibration(right, answers).ece_equal_mass for answers in (plain, crossed))
        temperature, of_confidence = (fitted, None) if shares is None else (shares, fitted)
        found[scheme] = TemperatureFit(temperature, of_confidence, len(some), before, after, share_error, copies)

    def keep(documents: Documents) -> Documents:
        card = documents.card
        for scheme, fit in found.items():
            card = card.with_temperature(scheme, fit.temperature, fit.confidence_temperature)
        return replace(documents, card=card, metrics=documents.metrics.with_calibration(found))

    opened.amend(keep)
    return found
