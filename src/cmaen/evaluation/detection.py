"""Judging a face detector: who was found, how surely, and how exactly. Pure functions over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Matches(NamedTuple):
    """What a detector found in many pictures, held against the truth.

    Attributes:
        scores: Of each detection, float64 [D]; those of what may be found or not are left out.
        truth: The face that it is, numbered through all pictures, or -1 for none, int64 [D].
        detections: Which detection of all that were given, numbered likewise, int64 [D].
        faces: How many faces there are.
    """

    scores: NDArray[np.float64]
    truth: NDArray[np.int64]
    detections: NDArray[np.int64]
    faces: int


def overlaps(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of boxes x, y, width, height: [N, 4] and [M, 4] -> [N, M]."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, :2] + one[:, None, 2:], other[None, :, :2] + other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = one[:, None, 2:].prod(axis=2) + other[None, :, 2:].prod(axis=2)
    return np.asarray(shared / np.maximum(areas - shared, 1e-9), np.float64)


def match(
    found: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]],
    faces: Sequence[NDArray[np.floating]],
    ignored: Sequence[NDArray[np.floating]],
    *,
    least: float = 0.5,
) -> Matches:
    """Give every detection the face that it overlaps most, the surest first; a face is found once.

    Args:
        found: Of each picture the boxes [D, 4] and their scores [D].
        faces: Of each picture the true boxes [F, 4].
        ignored: Of each picture the boxes [G, 4] of what may be found or not.
        least: Intersection over union from which it is the same face.
    """
    scores, truth, detections, before, given = [], [], [], 0, 0
    for (boxes, sure), true, free in zip(found, faces, ignored, strict=True):
        order = np.argsort(-np.asarray(sure), kind="stable")
        shared, excused = overlaps(boxes, true), overlaps(boxes, free)
        taken = np.zeros(len(true), bool)
        for index in order:
            possible = np.where(taken, 0.0, shared[index]) if len(true) else np.zeros(1)
            best = int(possible.argmax())
            if possible[best] >= least:
                taken[best] = True
                truth.append(before + best)
            elif len(free) and excused[index].max() >= least:
                continue
            else:
                truth.append(-1)
            scores.append(float(sure[index]))
            detections.append(given + int(index))
        before += len(true)
        given += len(boxes)
    return Matches(np.array(scores, np.float64), np.array(truth, np.int64), np.array(detections, np.int64), before)


def precision_and_recall(matches: Matches) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and threshold after each detection, from the surest on, float64 [D] each."""
    order = np.argsort(-matches.scores, kind="stable")
    hits = np.cumsum(matches.truth[order] >= 0)
    precision = hits / np.arange(1, len(order) + 1)
    return precision, hits / max(matches.faces, 1), matches.scores[order]


def average_precision(matches: Matches) -> float:
    """Area under the precision-recall curve, its precision made monotonous (Everingham et al., 2010)."""
    precision, recall, _ = precision_and_recall(matches)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * highest)) if len(recall) else 0.0


def recall_at(matches: Matches, precision: float) -> tuple[float, float]:
    """The highest recall at no less than that precision, and its threshold; 0 and infinity where there is none."""
    precisions, recalls, thresholds = precision_and_recall(matches)
    good = np.flatnonzero(precisions >= precision)
    return (float(recalls[good[-1]]), float(thresholds[good[-1]])) if len(good) else (0.0, float("inf"))
