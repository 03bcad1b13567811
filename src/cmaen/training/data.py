"""The data of a run and their reader: the faces of Training and of validation, with their votes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from cmaen.data.drawing import inner_split
from cmaen.data.faces import load_faces, look_at
from cmaen.data.ferplus import AUTO, NONE, with_votes
from cmaen.data.keys import Fer2013Keys, face_keys, order_like
from cmaen.data.labelling import read_names
from cmaen.data.leakage import without_copies
from cmaen.data.reading import SIDE
from cmaen.data.splits import FaceSet, Split
from cmaen.data.tree import enhancement_of, steps_of
from cmaen.errors import ConfigError, DataError
from cmaen.spec import Spec

ENLARGED = 4
"""The factor by which super-resolution enlarges faces."""

log = logging.getLogger(__name__)


def _read_none(votes: Any) -> Any:
    return None if votes == NONE else votes


def _read_pairs(names: Any) -> Any:
    """Read a mapping, or the pairs of one, as sorted pairs: a spec can be hashed."""
    try:
        return tuple(sorted(read_names(dict(names or {})).items()))
    except (DataError, TypeError, ValueError) as error:
        raise ValueError(f"names must map labels to names, such as {{1: surprise}}: {error}") from error


class DataSpec(Spec):
    """The data of a run. Validation always uses the split of that name, unchanged."""

    path: Path | None = Field(
        None, description="Folder of class folders, a zip of it, a CSV of paths and labels, or Kaggle's CSV of FER2013."
    )
    labels: Literal["all"] | tuple[str, ...] | None = Field(
        None, description="Classes to learn. all: every class in the data. null: the seven emotions."
    )
    names: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_read_pairs)] = Field(
        (), description="Names for labels that are written in another way, such as {1: surprise, 2: fear} for numbers."
    )
    votes: Annotated[Literal["auto"] | Path | None, BeforeValidator(_read_none)] = Field(
        AUTO,
        description="FER+ votes: a CSV file; auto: those that come with cmaen, for the faces of FER2013, if the loss "
        "needs votes; none: no votes.",
    )
    leave_out: Literal["nothing", "exact", "near"] = Field(
        "nothing", description="Training images to leave out: those with a copy in validation, exact or near."
    )
    inner_validation: bool = Field(
        False,
        description="Validate on a tenth of Training, with copies kept together, instead of the validation split, "
        "which then remains unseen for a final measurement.",
    )
    unlabelled: Path | None = Field(
        None, description="Folder of unlabelled face crops, sharper than those of the data set, that a teacher answers."
    )
    limit: int | None = Field(None, ge=1, description="Train on this many images only, always the same ones.")


def read_data(data: DataSpec, *, colour: bool, side: int, needs_votes: bool = False) -> tuple[FaceSet, FaceSet]:
    """Read the faces of Training, with their votes, and those of validation.

    Args:
        data: Settings of the data.
        colour: Keep colour; otherwise the faces become grey.
        side: Side in pixels to which faces of different sizes are resized.
        needs_votes: Whether the loss learns from votes. Without this, ``votes: auto`` joins none, so that a run is the
            same as before votes came with the package.

    Raises:
        ConfigError: The configuration names no data, or would undo what ``cmaen enhance`` did to them.
        DataError: The data cannot be read, or votes are needed and there are none for these faces.
    """
    if data.path is None:
        raise ConfigError("data.path is not set: name the folder, zip or CSV of FER2013 with --data")
    names = dict(data.names)
    votes = None if data.votes == AUTO and not needs_votes else data.votes
    training = _order(load_faces(data.path, Split.TRAIN, colour=colour, labels=data.labels, side=side, names=names))
    training = with_votes(training, votes)
    _require_use(data.path, training.images.shape[1], colour=colour, side=side)
    if needs_votes and training.votes is None:
        raise DataError(
            f"loss.vote_weight and loss.perceived learn from FER+ votes, but there are none for the faces of "
            f"{data.path}, which are not FER2013's: name their CSV with --votes, or set both to 0"
        )
    if data.inner_validation:
        training, validation = inner_split(training)
    else:
        validation = load_faces(data.path, Split.VALIDATION, colour=colour, labels=data.labels, side=side, names=names)
        try:
            validation = with_votes(validation, votes)
        except DataError as error:
            log.info("validation has no votes: %s", error)
    _require_classes(training)
    if data.leave_out != "nothing":
        before = len(training)
        training = without_copies(training, validation, exact_only=data.leave_out == "exact")
        log.info("left out %d training images that are copies of validation images", before - len(training))
    if data.limit is not None and data.limit < len(training):
        training = training.select(np.sort(np.random.default_rng(0).permutation(len(training))[: data.limit]))
    return training, validation


def _order(training: FaceSet) -> FaceSet:
    """Put the faces of FER2013 in one order, so that the same batches are drawn from it in every form.

    Other faces, and those of FER2013 once they have colour or another size, stay in the order of their names or rows.
    """
    if training.images.shape[1:] != (SIDE, SIDE):
        return training
    known, keys = Fer2013Keys.read().training, face_keys(training.images)
    if 2 * np.isin(keys, known).sum() < len(keys):
        return training
    order = order_like(known, keys, training.labels)
    return training if (order == np.arange(len(order))).all() else training.select(order)


def _require_use(path: Path, found: int, *, colour: bool, side: int) -> None:
    """Refuse a run that would undo an enhancement, and say what it does not use of other faces.

    Args:
        path: Path of the data.
        found: Side in pixels of its faces.
        colour, side: What the run keeps of them.
    """
    chain = steps_of(enhancement_of(path))
    steps = {step.partition(" ")[0] for step in chain}
    undone = []
    if "super-resolution" in steps and found >= ENLARGED * side:
        undone.append(f"reduce their {found} pixels to {side} again (set preprocess.source_size={found})")
    if "colorization" in steps and not colour:
        undone.append("drop their colour (set preprocess.grey=false)")
    if undone:
        raise ConfigError(
            f"the faces of {path} were enhanced by {', '.join(chain)}, but this run would {' and '.join(undone)}; or "
            "train on the faces as they were before"
        )
    if found <= SIDE:
        return
    look = None if colour else look_at(path)
    if found > side or (look is not None and look.colour):
        log.warning(
            "the faces of %s have %d pixels%s; this run uses %d pixels%s of them (preprocess.source_size and grey)",
            *(path, found, " and colour" if colour or (look is not None and look.colour) else ""),
            *(min(side, found), "" if colour else " and no colour"),
        )


def _require_classes(training: FaceSet) -> None:
    """Warn of classes without training faces, and refuse data with a single class."""
    counts = training.counts()
    there = [f"{name} ({count:,})" for name, count in counts.items() if count]
    if len(there) < 2:
        raise DataError(f"there is only one class, {there[0]}; training needs at least two")
    if missing := [name for name, count in counts.items() if not count]:
        log.warning("no training face is labelled %s: the network will never predict it", " or ".join(missing))
