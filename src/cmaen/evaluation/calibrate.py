"""Calibration of confidences: ``cmaen calibrate`` as functions with typed results."""

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
from cmaen.engines import AUTO, build_engine, probabilities
from cmaen.errors import SplitError
from cmaen.evaluation.calibration import BELIEF, FEW_FACES, calibration, cross_fit, fit_temperature
from cmaen.evaluation.perceived import compare_shares
from cmaen.evaluation.run import logits_by_scheme, warn_of_seen
from cmaen.evaluation.splits import Names, exclude_copies
from cmaen.types import PERCEIVED

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CalibrationResult:
    """The temperatures fitted for a checkpoint.

    Attributes:
        checkpoint: The checkpoint with its new temperatures.
        split: Title of the faces that the temperatures were fitted on.
        copies: Whether these faces are ``with`` or ``without`` those that have copies in Training.
        fits: Fitted temperatures by label scheme.
    """

    checkpoint: Checkpoint
    split: str
    copies: str
    fits: Mapping[str, TemperatureFit]

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
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
    names: Names = None,
    votes: Path | str | None = OWN_VOTES,
    engine: str = AUTO,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> CalibrationResult:
    """Fit the temperature of each label scheme on validation faces, so that "0.8" means 80 %, and store it.

    ``cmaen.calibrate("runs/mine/best", "faces.zip").fits["fer2013"].temperature``

    Args:
        checkpoint: A checkpoint of your own, see :meth:`cmaen.checkpoints.Checkpoint.open`; its card and its metrics
            are rewritten.
        data: Data in any form that :func:`cmaen.data.faces.load_faces` takes, whose validation split is used without
            the faces that have copies in Training; or loaded faces of the validation split. ``None``: FER2013, if
            :func:`cmaen.data.faces.find_data` finds it.
        names: Names for labels that are written in another way, see :func:`cmaen.data.faces.load_faces`.
        votes: FER+ votes, on which ``perceived`` is calibrated, see :func:`cmaen.evaluation.evaluate.evaluate`.
        engine: Engine that runs the network, see :func:`cmaen.engines.build_engine`.
        progress: Wraps the loop over the batches, to show progress.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ConfigError: The checkpoint is shared: it comes with the package or was downloaded.
        DataError: The data cannot be read.
        SplitError: There is no validation split, or the loaded faces are from another split.
    """
    opened = Checkpoint.open(checkpoint)
    opened.require_own()
    copies = "with"
    if isinstance(data, FaceSet):
        faces = data
    else:
        path, card = find_data() if data is None else Path(data), opened.card
        require_enhancement(path, card.enhancement)
        faces = load_for(card, path, Split.VALIDATION, names)
        try:
            faces = exclude_copies(faces, card, path, Split.VALIDATION.folder, names)["without near copies"]
            copies = "without"
        except SplitError as error:
            log.warning("faces with copies in the training split are not left out: %s", error)
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
    """Fit the temperatures of each label scheme on given faces, and store them; those of ``perceived`` need votes.

    Under ``perceived`` the probabilities are fitted to the annotators' shares, and the confidence to how often the
    answer is the annotators' majority.

    Args:
        checkpoint: Checkpoint to calibrate, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        faces: Faces of the validation split.
        engine: Engine that runs the network, see :func:`cmaen.engines.build_engine`.
        copies: Whether the faces are ``with`` or ``without`` those that have copies in Training, for the metrics.
        progress: Wraps the loop over the batches, to show progress.

    Returns:
        Fitted temperatures by label scheme.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        SplitError: The faces are from another split.
    """
    faces.require(Split.VALIDATION, "calibration")
    opened = Checkpoint.open(checkpoint)
    card, network = opened.card, build_engine(engine, opened)
    found: dict[str, TemperatureFit] = {}
    schemes = [scheme for scheme in card.schemes if scheme != PERCEIVED or faces.votes is not None]
    by_scheme = logits_by_scheme(faces, card.preprocess, network, schemes, progress=progress)
    for scheme in schemes:
        perceived = scheme == PERCEIVED
        judged = majority(faces) >= 0 if perceived else np.ones(len(faces), bool)
        some, logits = faces.select(judged), by_scheme[scheme][judged]
        if not len(some):
            continue
        right = majority(some) if perceived else some.labels
        if len(some) < FEW_FACES:
            log.warning(
                "the temperature of %s is fitted on only %d faces and is therefore kept near 1; use at least %d",
                scheme,
                len(some),
                FEW_FACES,
            )
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
