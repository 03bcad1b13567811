"""A validation split for data that have none: drawn once and for all, with whatever belongs together on one side."""

from __future__ import annotations

import logging
import warnings
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


def split_off(faces: FaceSet, groups: Sequence[str | None], split: Split) -> FaceSet:
    """The faces that validate, or the others, of data that have no validation split; the log says that it was drawn.

    Args:
        faces: Of both.
        groups: Of each face, see :func:`drawn`.
        split: Validation, or another for the others.
    """
    validates = draw_validation(faces, groups)
    log.warning(
        "there is no validation split: %d of the %d faces for training are drawn for it, always the same ones",
        validates.sum(),
        len(faces),
    )
    return faces.select(validates if split is Split.VALIDATION else ~validates)


def draw_validation(faces: FaceSet, groups: Sequence[str | None]) -> NDArray[np.bool_]:
    """Which faces validate, bool [N]: a tenth of each class as far as groups allow, always the same.

    Copies (exact, near, mirrored) and faces of one group, like a person, stay on one side.

    A class with a single face or group only learns; of any other at least one validates and one learns.

    Args:
        faces: Of all splits.
        groups: Of each face; ``None`` for one of its own.
    """
    chosen = np.zeros(len(faces), bool)
    if len(faces) < 2:
        return chosen
    together = np.array(_join_groups(faces, groups), np.int64)
    units = {label: np.unique(together[faces.labels == label]) for label in np.unique(faces.labels).tolist()}
    alone = [faces.classes[label] for label, own in units.items() if len(own) == 1]
    if alone:
        log.warning("a single face or group of %s: it is learnt, and not validated", ", ".join(alone))
    validated = np.flatnonzero([len(units[label]) > 1 for label in faces.labels.tolist()])
    if len(validated):
        chosen[validated[_fold(faces.labels[validated], together[validated])]] = True
        _cover(chosen, together, {label: own for label, own in units.items() if len(own) > 1})
    return chosen


def _fold(labels: NDArray[np.int64], together: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of a tenth of the faces, of each class if it has enough groups; of a half at most, of few groups."""
    from sklearn.model_selection import StratifiedGroupKFold

    most = max(len(np.unique(together[labels == label])) for label in np.unique(labels))
    parts = min(PART, most)
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class has fewer faces than there are parts
        tests = [test for _, test in folds.split(labels, labels, together)]
    wanted = len(labels) / parts
    fits = (test for test in tests if wanted / 1.5 <= len(test) <= wanted * 1.5)  # one may be a huge group
    return next(fits, min(tests, key=lambda test: abs(len(test) - wanted)))


def _cover(chosen: NDArray[np.bool_], together: NDArray[np.int64], units: dict[int, NDArray[np.int64]]) -> None:
    """Give each class a group that validates, the smallest, and leave it one that learns; ``chosen`` is changed."""
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
    """Training without a tenth of it, and that tenth, which validates in place of a validation split that is worn out.

    Raises:
        SplitError: These are not the faces of Training.
    """
    training.require(Split.TRAIN, "the inner split")
    validates = draw_validation(training, [None] * len(training))
    return training.select(~validates), replace(training.select(validates), split=Split.VALIDATION)


def _join_groups(faces: FaceSet, groups: Sequence[str | None]) -> list[int]:
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
