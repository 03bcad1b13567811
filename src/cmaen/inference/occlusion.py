"""Occlusion maps: how the answer changes when each part of the face is covered.

A soft grey patch is laid over the network's input at 9 x 9 places, one after the other (Zeiler and Fergus, "Visualizing
and Understanding Convolutional Networks", ECCV 2014). Where the answer becomes less likely, it depends on that part of
the face. The method only needs answers, 82 for each face, so it works with every engine, including the browser's.

The map says where the network looked, not why: a warm mouth may have been taken for a smile or for anything else. It
does not show effects of covering two places together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.drawing.heat import Heat
from cmaen.inference.classifier import FaceClassifier

GRID = 9
"""Number of places of the patch across and down; their centres are spaced evenly over the face."""
PATCH = 0.1
"""Deviation of the patch, a Gaussian, relative to the side of the face. It covers about a quarter of the side by half
or more, as wide as a mouth or an eye with its brow."""
SPREAD = 0.6
"""Deviation of the Gaussian that smooths the map, relative to the distance between two places."""
LEAST = 0.2
"""Smallest fall of the log-odds that is scaled to the hottest colour. An answer that hardly depends on any one place
gets a cool map; scaling it up would show nothing but noise."""
MOST = 16
"""Largest number of faces of an image that the service and the page explain, the largest first; each takes 82
answers."""


class OcclusionMap(NamedTuple):
    """Occlusion map of one answer.

    Attributes:
        answer: Index of the explained label, the most probable one.
        falls: Fall of the answer's log-odds with the patch at each place, float64 [9, 9], by row and column; below 0
            where the answer becomes more likely.
        lowest: Lowest confidence of the answer with the patch at any place, in [0, 1].
        heat: The falls as a smooth map of the face, float32 [S, S] in [0, 1], S being the side of the network's input:
            1 where the answer falls most, 0 where it does not fall.
    """

    answer: int
    falls: NDArray[np.float64]
    lowest: float
    heat: Heat


def map_occlusions(crops: Sequence[NDArray[np.uint8]], classifier: FaceClassifier) -> list[OcclusionMap]:
    """Compute the occlusion maps of some faces, in order.

    Args:
        crops: Face crops, RGB uint8 [h, w, 3] or grey [h, w], of any size.
        classifier: Classifier to ask, under its label scheme.
    """
    return [_map_one(crop, classifier) for crop in crops]


def _map_one(crop: NDArray[np.uint8], classifier: FaceClassifier) -> OcclusionMap:
    (face,) = classifier.inputs([crop])
    powers = classifier.probabilities(np.concatenate([face[None], cover(face)])) ** classifier.sharpening  # [1 + 81, C]
    rows = powers / powers.sum(axis=1, keepdims=True)  # the confidence of every label, see cmaen.types.certainty_of
    answer = int(rows[0].argmax())
    odds = measure_log_odds(rows, answer)
    falls = (odds[0] - odds[1:]).reshape(GRID, GRID)
    return OcclusionMap(answer, falls, float(rows[1:, answer].min()), spread_falls(falls, face.shape[-1]))


def cover(face: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay the patch over the network's input of a face, at each place by row and column.

    Args:
        face: float32 [3, S, S].

    Returns:
        float32 [81, 3, S, S]; under the patch, the face has its mean colour.
    """
    profile = _profile(face.shape[-1], PATCH * face.shape[-1]).astype(np.float32)  # [S, 9]
    patches = np.einsum("yi,xj->ijyx", profile, profile).reshape(-1, 1, *face.shape[1:])  # [81, 1, S, S]
    mean = face.mean(axis=(1, 2), keepdims=True)  # [3, 1, 1]
    return np.asarray(face + patches * (mean - face), np.float32)  # [81, 3, S, S]


def measure_log_odds(rows: NDArray[np.float64], answer: int) -> NDArray[np.float64]:
    """Compute ``log(p / (1 - p))`` of one label from rows [N, C] that sum to 1, accurately even for p near 1."""
    rest = np.delete(rows, answer, axis=1).sum(axis=1)
    tiny = np.finfo(np.float64).tiny
    return np.asarray(np.log(np.maximum(rows[:, answer], tiny)) - np.log(np.maximum(rest, tiny)))


def spread_falls(falls: NDArray[np.float64], side: int) -> Heat:
    """Smooth the falls at each place into a map, float32 [side, side] in [0, 1]."""
    weights = _profile(side, SPREAD * side / GRID)
    weights /= weights.sum(axis=1, keepdims=True)
    smooth = weights @ np.maximum(falls, 0) @ weights.T  # [S, 9] x [9, 9] x [9, S]
    return np.asarray(smooth / max(float(smooth.max()), LEAST), np.float32)


def _profile(side: int, deviation: float) -> NDArray[np.float64]:
    """Sample a Gaussian around each place of the grid along one side, with peak 1: float64 [side, 9]."""
    centres = (np.arange(GRID) + 0.5) * side / GRID - 0.5
    return np.asarray(np.exp(-0.5 * ((np.arange(side)[:, None] - centres) / deviation) ** 2))
