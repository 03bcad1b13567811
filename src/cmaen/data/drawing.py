"""Drawing a validation split from data that have none: always the same, with related faces on one side."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cmaen.data.leakage import find_copies
from cmaen.data.splits import FaceSet, Split

PART = 10
"""The validation split is one part in this many."""
_SEED = 0

log = logging.getLogger(__name__)


def split_off(faces: FaceSet, split: Split) -> FaceSet:
    """Return the drawn validation faces, or the others, of data without a validation split; the drawing is logged.

    Args:
        faces: The faces of both splits.
        split: Validation, or any other split for the others.
    """
    validates = draw_validation(faces)
    log.warning(
        "there is no validation split: %d of the %d training faces are drawn for it, always the same ones",
        validates.sum(),
        len(faces),
    )
    return faces.select(validates if split is Split.VALIDATION else ~validates)


def draw_validation(faces: FaceSet) -> NDArray[np.bool_]:
    """Draw the validation faces, bool [N]: a tenth of each class as far as groups allow, always the same.

    Copies (exact, near, mirrored) and the faces of one group, such as a person, stay on one side.

    A class with a single face or group is used for training only; every other class has at least one of each.

    Args:
        faces: The faces of all splits, with their groups.
    """
    chosen = np.zeros(len(faces), bool)
    if len(faces) < 2:
        return chosen
    together = np.array(_join_groups(faces), np.int64)
    units = {label: np.unique(together[faces.labels == label]) for label in np.unique(faces.labels).tolist()}
    alone = [faces.classes[label] for label, own in units.items() if len(own) == 1]
    if alone:
        log.warning(
            "%s: there is only one face or group, so training uses it and validation has none", ", ".join(alone)
        )
    validated = np.flatnonzero([len(units[label]) > 1 for label in faces.labels.tolist()])
    if len(validated):
        chosen[validated[_fold(faces.labels[validated], together[validated])]] = True
        _cover(chosen, together, {label: own for label, own in units.items() if len(own) > 1})
    return chosen


def _fold(labels: NDArray[np.int64], together: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of a tenth of the faces, of each class with enough groups; at most half of other classes."""
    from sklearn.model_selection import StratifiedGroupKFold

    most = max(len(np.unique(together[labels == label])) for label in np.unique(labels))
    parts = min(PART, most)
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the warning that a class has fewer faces than there are parts
        tests = [test for _, test in folds.split(labels, labels, together)]
    wanted = len(labels) / parts
    fits = (test for test in tests if wanted / 1.5 <= len(test) <= wanted * 1.5)  # one may be a single huge group
    return next(fits, min(tests, key=lambda test: abs(len(test) - wanted)))


def _cover(chosen: NDArray[np.bool_], together: NDArray[np.int64], units: dict[int, NDArray[np.int64]]) -> None:
    """Give each class a validation group, the smallest, and leave it a training group; changes ``chosen`` in place."""
    sizes = dict(zip(*(part.tolist() for part in np.unique(together, return_counts=True)), strict=True))
    validating = set(together[chosen].tolist())
    for own in units.values():
        if validating >= set(own.tolist()):
            validating.remove(max(own.tolist(), key=lambda unit: (sizes[unit], -unit)))
    for own in units.values():
        if not validating & set(own.tolist()):
            for unit in sorted(own.tolist(), key=lambda unit: (sizes[unit], unit)):
                if all(not validating | {unit} >= set(others.tolist()) for others in units.values()):
                    validating.add(unit)
                    break
    chosen[:] = np.isin(together, list(validating))


def inner_split(training: FaceSet) -> tuple[FaceSet, FaceSet]:
    """Return Training without a tenth, and that tenth, which replaces a validation split that was used too often.

    Raises:
        SplitError: The faces do not belong to Training.
    """
    training.require(Split.TRAIN, "the inner split")
    validates = draw_validation(training)
    return training.select(~validates), replace(training.select(validates), split=Split.VALIDATION)


def _join_groups(faces: FaceSet) -> list[int]:
    """Number the faces, with the same number for those that belong together."""
    parent = list(range(len(faces)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[str, int] = {}
    pairs = [
        (first.setdefault(group, index), index) for index, group in enumerate(faces.groups or ()) if group is not None
    ]
    pairs += [(copy.first, copy.second) for copy in find_copies(faces, faces)]
    for one, other in pairs:
        parent[root(one)] = root(other)
    return [root(index) for index in range(len(faces))]
