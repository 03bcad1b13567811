"""The faces that a run and its initial weights have seen, kept in its folder until its checkpoint is written."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from cmaen.checkpoints import SEEN, SeenFaces
from cmaen.data.keys import face_keys
from cmaen.data.splits import FaceSet
from cmaen.files import replace_file
from cmaen.training.answers import ANSWERS, KeptAnswers
from cmaen.training.beginning import find_seen
from cmaen.training.config import Config

log = logging.getLogger(__name__)


def note_seen(config: Config, training: FaceSet, unlabelled: FaceSet | None) -> None:
    """Write the keys of the faces that the run trains on, and of those that its initial weights were trained on.

    Raises:
        OutputError: The folder of the run cannot be written.
    """
    seen = _collect(training, unlabelled).unite(find_seen(config))
    with replace_file(config.output / SEEN) as temporary:
        temporary.write_bytes(seen.content)


def read_seen(output: Path, training: FaceSet, unlabelled: FaceSet | None) -> SeenFaces:
    """Read what :func:`note_seen` wrote; without it, as in runs of older versions, return the run's own faces."""
    own = _collect(training, unlabelled)
    try:
        return own.unite(SeenFaces((output / SEEN).read_bytes()))
    except FileNotFoundError:
        return own
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read; what the initial weights were trained on is unknown: %s", output / SEEN, error)
        return own


def warn_of_seen(config: Config, training: FaceSet, validation: FaceSet, unlabelled: FaceSet | None) -> None:
    """Warn if the initial weights or a teacher were trained on most of the faces that are to judge the run."""
    keys = face_keys(validation.images)
    known = {"the network has been trained on": read_seen(config.output, training, unlabelled).keys}
    for path in (Path(teacher) for teacher in config.distillation.teachers if str(teacher).endswith(ANSWERS)):
        answered = KeptAnswers.read(path).find_keys()
        if answered is not None:
            known[f"the teacher in {path} has answered, and so was probably trained on,"] = answered
    for what, taught in known.items():
        count = int(np.isin(keys, taught).sum())
        if 2 * count > len(keys):
            log.warning(
                "%s %d of the %d validation faces: their figures say little about other faces", what, count, len(keys)
            )


def _collect(training: FaceSet, unlabelled: FaceSet | None) -> SeenFaces:
    sets = [faces for faces in (training, unlabelled) if faces is not None]
    return SeenFaces.of(np.concatenate([face_keys(faces.images) for faces in sets]))
