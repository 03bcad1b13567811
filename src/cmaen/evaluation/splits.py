"""Choice of the faces to measure, and of those without copies in Training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmaen.checkpoints import Card
from cmaen.data.drawing import inner_split
from cmaen.data.faces import list_splits, load_for, measured_split
from cmaen.data.leakage import without_copies
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import SplitError
from cmaen.evaluation.assessment import COPIES

Names = Mapping[Any, Any] | None
"""Names for labels that are written in another way."""

log = logging.getLogger(__name__)


def load_split(card: Card, data: Path, name: str | None, names: Names = None) -> FaceSet:
    """Load the faces of a split by its name, with the labels and the colours that a network was trained on.

    Args:
        card: Card of the network.
        data: Path of the data, see :func:`cmaen.data.faces.load_faces`.
        name: ``validation``, ``test``, both separated by a comma, ``all``, every face, or ``inner``, the tenth of
            Training that ``data.inner_validation`` holds out; ``None`` for the split that
            :func:`cmaen.data.faces.measured_split` chooses.
        names: See :func:`cmaen.data.faces.load_faces`.

    Raises:
        DataError: The data cannot be read, or do not contain the split.
    """
    if name is None:
        split = measured_split(data)
        if split is Split.TEST:
            log.warning("%s has no validation split, so its test split is measured", data)
        elif data.exists() and list_splits(data) == {None}:
            log.warning(
                "%s has no splits: the tenth that is drawn for validation is measured; --split all measures every face",
                data,
            )
        return load_for(card, data, split, names)
    if _is_inner(name):
        return inner_split(load_for(card, data, Split.TRAIN, names))[1]
    return load_for(card, data, Split.parse(name), names)


def exclude_copies(
    faces: FaceSet, card: Card, data: Path, split: str | None, names: Names = None
) -> dict[str, FaceSet]:
    """Select the faces without a copy in Training: without exact copies, and without near and mirrored ones too.

    Args:
        faces: Faces that :func:`load_split` loaded with the other arguments.
        card, data, split, names: The same arguments as for :func:`load_split`.

    Raises:
        SplitError: The data contain no Training split, or every face has a copy in it.
    """
    training = load_for(card, data, Split.TRAIN, names)
    if _is_inner(split):
        training, _ = inner_split(training)
    subsets = {
        name: without_copies(faces, training, exact_only=exact)
        for name, exact in zip(COPIES, (True, False), strict=True)
    }
    if not all(map(len, subsets.values())):
        raise SplitError(f"every face of {faces.title} has a copy in {training.title}")
    return subsets


def _is_inner(name: str | None) -> bool:
    return name is not None and name.strip().lower() == "inner"
