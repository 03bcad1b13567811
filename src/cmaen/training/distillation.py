"""Answers of trained networks to learn from (Hinton et al., 2015), computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmaen.card import ONNX, folder_of, read_card
from cmaen.data.splits import FaceSet, Split
from cmaen.engines import build_engine, probabilities
from cmaen.errors import DataError
from cmaen.evaluation.run import logits_of
from cmaen.files import replacing

log = logging.getLogger(__name__)


def teacher_answers(
    faces: FaceSet, teachers: Sequence[Path], *, temperature: float, cache: Path
) -> NDArray[np.float32]:
    """The mean answer of the teachers to each face and its mirror image, float32 [N, 7], rows summing to 1.

    The answers are shifted, one constant an emotion, until their mean is the share of each emotion in the labels: a
    teacher's leaning towards an emotion is not handed down.

    Args:
        faces: Of Training.
        teachers: Folders of checkpoints.
        temperature: Divides the logits; above 1 the answers are softer.
        cache: Folder where the logits are kept, by the weights and the faces that they come from.

    Raises:
        CheckpointError: A teacher is missing or corrupt.
        SplitError: The faces are of another split.
    """
    faces.require(Split.TRAIN, "distillation")
    answers = [probabilities(_logits(faces, teacher, cache), temperature).mean(axis=0) for teacher in teachers]
    return match_prior(np.mean(answers, axis=0), faces.labels).astype(np.float32)


def match_prior(answers: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities [N, E] times one factor an emotion, rows summing to 1, so that their mean is the labels' share."""
    prior = np.bincount(labels, minlength=answers.shape[1]) / len(labels)
    for _ in range(500):
        factors = np.sqrt(prior / np.maximum(answers.mean(axis=0), 1e-12))
        answers = answers * factors
        answers = answers / answers.sum(axis=1, keepdims=True)
        if np.abs(factors - 1).max() < 1e-6:
            break
    return answers


def _logits(faces: FaceSet, teacher: Path, cache: Path) -> NDArray[np.float32]:
    """float32 [2, N, 7]: of the faces and of their mirror images."""
    card = read_card(teacher)
    weights = hashlib.sha256(json.dumps(card.sha256, sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^\w.-]+", "-", card.name)  # a file system may not like all of it
    path = cache / f"{name}-{weights[:16]}-{faces.fingerprint()[:16]}.npy"
    if path.is_file():
        try:
            return np.asarray(np.load(path), np.float32)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path} is damaged; delete it to have it made again: {error}") from error
    log.info("asking the teacher %s about %d faces", card.name, len(faces))
    engine = build_engine("onnx" if (folder_of(teacher) / ONNX).is_file() else "torch", teacher)
    logits = np.stack([logits_of(faces, card.preprocess, engine, mirrored=mirrored) for mirrored in (False, True)])
    with replacing(path) as temporary:
        np.save(temporary, logits)
    return logits
