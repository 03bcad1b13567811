"""What a run learns from, and reading it: the faces of Training and of validation, with their votes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from cmaen.data.drawing import inner_split
from cmaen.data.faces import load_faces
from cmaen.data.ferplus import join_votes
from cmaen.data.leakage import without_copies
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import ConfigError, DataError
from cmaen.spec import Spec

log = logging.getLogger(__name__)


class DataSpec(Spec):
    """What is trained on. Validation is always the split of that name and is never changed."""

    path: Path | None = Field(
        None, description="A folder of class folders, its zip, a CSV of path and label, or FER2013 as Kaggle's CSV."
    )
    labels: Literal["all"] | tuple[str, ...] | None = Field(
        None, description="The classes. all: those that the data have. null: the seven emotions."
    )
    votes: Path | None = Field(None, description="CSV of the FER+ votes.")
    leave_out: Literal["nothing", "exact", "near"] = Field(
        "nothing", description="Training images to leave out because validation holds a copy of them."
    )
    inner_validation: bool = Field(
        False,
        description="Validate on a tenth of Training, copies kept together, instead of the validation split, which "
        "then remains unseen and can judge.",
    )
    unlabelled: Path | None = Field(
        None, description="Folder of face crops without labels, sharper than the data set's, that a teacher answers."
    )
    limit: int | None = Field(None, ge=1, description="Train on so many images only, always the same ones.")


def read_data(data: DataSpec, *, colour: bool, side: int) -> tuple[FaceSet, FaceSet]:
    """The faces that are trained on, with their votes, and those that are validated on.

    Args:
        data: Which.
        colour: Keep it.
        side: Pixels that faces of different sizes are brought to.

    Raises:
        ConfigError: The configuration names no data.
        DataError: They cannot be read.
    """
    if data.path is None:
        raise ConfigError("data.path is not set: name the folder, zip or CSV of FER2013 with --data")
    training = load_faces(data.path, Split.TRAIN, colour=colour, labels=data.labels, side=side)
    if data.inner_validation:
        training, validation = inner_split(training)
    else:
        validation = load_faces(data.path, Split.VALIDATION, colour=colour, labels=data.labels, side=side)
    _require_classes(training)
    if data.leave_out != "nothing":
        before = len(training)
        training = without_copies(training, validation, exact_only=data.leave_out == "exact")
        log.info("%d training images left out, being copies of validation images", before - len(training))
    if data.limit is not None and data.limit < len(training):
        training = training.select(np.sort(np.random.default_rng(0).permutation(len(training))[: data.limit]))
    if data.votes is not None:
        training = join_votes(training, data.votes)
        try:
            validation = join_votes(validation, data.votes)
        except DataError as error:
            log.info("validation has no votes: %s", error)
    return training, validation


def _require_classes(training: FaceSet) -> None:
    """Name the classes that nothing is learnt of, and refuse to tell one class apart."""
    counts = training.counts()
    there = [f"{name} ({count:,})" for name, count in counts.items() if count]
    if len(there) < 2:
        raise DataError(f"there is one class alone, and two are needed to tell apart: {there[0]}")
    if missing := [name for name, count in counts.items() if not count]:
        log.warning("no training face is %s: that will never be answered", " or ".join(missing))
