"""Clustering of faces by the similarity of their features, so that those of one person come together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.36
"""Average similarity from which faces are taken for those of one person. Of 358,000 pairs of photographs of different
people, 0.08 % (0.06 to 0.10) are above it (``examples/measure_identities.py``)."""


def link(
    means: NDArray[np.floating[Any]],
    weights: NDArray[np.floating[Any]],
    apart: Iterable[tuple[int, int]] = (),
    *,
    threshold: float = THRESHOLD,
) -> list[int]:
    """Link units (tracks, or people who are known already) that show one person.

    The two most similar ones are linked first, and again, until none is similar enough (agglomerative clustering).
    The similarity of two groups is the average over the pairs of their faces, so that a chain of intermediate faces
    does not link two people.

    Args:
        means: Mean features of each unit, float [N, F]; finite, not longer than 1.
        weights: Number of faces of each unit, float [N], above 0.
        apart: Pairs of units that are never one person, such as two tracks that were seen in one frame.
        threshold: Similarity from which two groups are linked.

    Returns:
        For each unit the smallest index of its group.
    """
    count = len(means)
    owners = np.arange(count)
    sums = np.asarray(means, np.float64) * np.asarray(weights, np.float64)[:, None]  # [N, F]
    totals = np.array(weights, np.float64)
    likes = np.asarray(means, np.float64) @ np.asarray(means, np.float64).T  # [N, N]
    np.fill_diagonal(likes, -np.inf)
    for one, other in apart:
        likes[one, other] = likes[other, one] = -np.inf
    nearest = (
        likes.argmax(axis=1) if count else np.zeros(0, np.int64)
    )  # of each unit, so that no step looks at all pairs
    best = likes[np.arange(count), nearest]
    while count and best.max() >= threshold:
        first = int(best.argmax())
        one, other = sorted((first, int(nearest[first])))
        forbidden = np.isneginf(likes[one]) | np.isneginf(likes[other])
        sums[one] += sums[other]
        totals[one] += totals[other]
        row = sums @ sums[one] / (totals * totals[one])  # [N]
        row[forbidden] = -np.inf
        likes[one], likes[:, one] = row, row
        likes[other], likes[:, other] = -np.inf, -np.inf
        owners[owners == other] = one
        nearer = row > best
        nearest[nearer], best[nearer] = one, row[nearer]
        for stale in np.flatnonzero(np.isin(nearest, (one, other)) | (np.arange(count) == one)):
            nearest[stale] = likes[stale].argmax()
            best[stale] = likes[stale, nearest[stale]]
        best[other] = -np.inf
    return [int(owner) for owner in owners]
