"""Which faces ``cmaen test`` and ``calibrate`` measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cmaen.errors import SplitError

if TYPE_CHECKING:
    from cmaen.card import Card
    from cmaen.data.splits import FaceSet


def load_split(card: Card, data: Path, name: str | None) -> FaceSet:
    """The faces of a split by its name on the command line; of the one that is to be measured, if there is no name."""
    from cmaen.data.drawing import inner_split
    from cmaen.data.faces import load_for, measured_split
    from cmaen.data.splits import Split

    if name is None:
        split = measured_split(data)
        if split is Split.TEST:
            typer.echo(f"{data} has no validation split: its test split is measured", err=True)
        return load_for(card, data, split)
    if _is_inner(name):
        return inner_split(load_for(card, data, Split.TRAIN))[1]
    return load_for(card, data, Split.parse(name))


def without_copies_of(faces: FaceSet, card: Card, data: Path, split: str | None) -> dict[str, FaceSet]:
    """The faces that no copy of stands in Training: without exact copies, and without near and mirrored ones too.

    Raises:
        SplitError: The data hold no Training, or nothing else.
    """
    from cmaen.data.drawing import inner_split
    from cmaen.data.faces import load_for
    from cmaen.data.leakage import without_copies
    from cmaen.data.splits import Split

    training = load_for(card, data, Split.TRAIN)
    if _is_inner(split):
        training, _ = inner_split(training)
    subsets = {
        f"without {kind} copies": without_copies(faces, training, exact_only=kind == "exact")
        for kind in ("exact", "near")
    }
    if not all(map(len, subsets.values())):
        raise SplitError(f"every face of {faces.title} has a copy in {training.title}")
    return subsets


def _is_inner(name: str | None) -> bool:
    return name is not None and name.strip().lower() == "inner"
