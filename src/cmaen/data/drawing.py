"""A validation split for data that have none: drawn once and for all, with whatever belongs together on one side."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cmaen.data.leakage import find_copies
from cmaen.data.splits import FaceSet, Split

PART = 10
"""One of so many faces validates."""
_SEED = 0

log = logging.getLogger(__name__)


def drawn(faces: FaceSet, groups: Sequence[str | None]) -> NDArray[np.bool_]:
    """Which faces validate, bool [N]: a tenth of each class, always the same for the same faces.

    Copies (exact, near, mirrored) and faces of one group, like a person, stay on one side.

    A class with a single face or group only learns.

    Args:
        faces: Of all splits.
        groups: Of each face; ``None`` for one of its own.
    """
    chosen = np.zeros(len(faces), bool)
    if len(faces) < 2:
        return chosen
    together = np.array(_joined(faces, groups), np.int64)
    units = {label: len(np.unique(together[faces.labels == label])) for label in np.unique(faces.labels).tolist()}
    alone = [faces.classes[label] for label, count in units.items() if count == 1]
    if alone:
        log.warning("a single face or group of %s: it is learnt, and not validated", ", ".join(alone))
    validated = np.flatnonzero([units[label] > 1 for label in faces.labels.tolist()])
    if len(validated):
        from sklearn.model_selection import StratifiedGroupKFold

        fewest = min(count for count in units.values() if count > 1)
        folds = StratifiedGroupKFold(min(PART, fewest), shuffle=True, random_state=_SEED)
        _, fold = next(folds.split(validated, faces.labels[validated], together[validated]))
        chosen[validated[fold]] = True
    return chosen


def inner_split(training: FaceSet) -> tuple[FaceSet, FaceSet]:
    """Training without a tenth of it, and that tenth, which validates in place of a validation split that is worn out.

    Raises:
        SplitError: These are not the faces of Training.
    """
    training.require(Split.TRAIN, "the inner split")
    validates = drawn(training, [None] * len(training))
    return training.select(~validates), replace(training.select(validates), split=Split.VALIDATION)


def _joined(faces: FaceSet, groups: Sequence[str | None]) -> list[int]:
    """A number a face, the same for those that belong together."""
    parent = list(range(len(faces)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[str, int] = {}
    pairs = [(first.setdefault(group, index), index) for index, group in enumerate(groups) if group is not None]
    pairs += [(copy.first, copy.second) for copy in find_copies(faces, faces)]
    for one, other in pairs:
        parent[root(one)] = root(other)
    return [root(index) for index in range(len(faces))]
