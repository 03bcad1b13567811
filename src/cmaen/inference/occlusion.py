"""Where an answer comes from, by covering the face bit by bit: what the network says without each part of it.

A soft grey patch is laid over the network's input at 9 x 9 places, one after the other (Zeiler and Fergus, "Visualizing
and Understanding Convolutional Networks", ECCV 2014). Where the answer becomes less likely, the face was needed for it.
That needs nothing but answers, so that every engine can do it, a browser's too; it takes 82 of them for a face.

The map says where the network looked, and not why: a warm mouth may have been taken for a smile or for anything else.
It says nothing of two places that would have to be covered together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.heat import Heat
from cmaen.inference.classifier import FaceClassifier

GRID = 9
"""Places of the patch across and down; their centres lie evenly over the face."""
PATCH = 0.1
"""The patch's deviation over the side of the face: a Gaussian that covers about a quarter of the side by half or more,
as wide as a mouth or an eye with its brow."""
SPREAD = 0.6
"""The deviation of what each place of the grid contributes to the map around it, over the distance of two places."""
LEAST = 0.2
"""The fall of the log-odds that the hottest place stands for, at least: an answer that hardly depends on any one place
has a cool map, where scaling it up would show nothing but chance."""
MOST = 16
"""Faces of a picture that a service and the page explain, the largest: each takes 82 answers."""


class OcclusionMap(NamedTuple):
    """What one answer depends on.

    Attributes:
        answer: Index of the label that is explained, the most probable one.
        falls: By how much the answer's log-odds fall with the patch at each place, float64 [9, 9], by row and column;
            below 0 where it becomes more likely.
        lowest: The answer's confidence with the patch where it costs most, in [0, 1].
        heat: The same as a smooth map of the face, float32 [S, S] in [0, 1], S the side of the network's input: 1 where
            the answer falls most, 0 where it does not fall.
    """

    answer: int
    falls: NDArray[np.float64]
    lowest: float
    heat: Heat


def map_occlusions(crops: Sequence[NDArray[np.uint8]], classifier: FaceClassifier) -> list[OcclusionMap]:
    """The maps of some faces, in order.

    Args:
        crops: Face crops, RGB uint8 [h, w, 3] or grey [h, w], of any size.
        classifier: Answers, under its label scheme.
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
    """The network's input of a face with the patch at each place, by row and column.

    Args:
        face: float32 [3, S, S].

    Returns:
        float32 [81, 3, S, S]; where the patch is, the face's mean colour.
    """
    profile = _profile(face.shape[-1], PATCH * face.shape[-1]).astype(np.float32)  # [S, 9]
    patches = np.einsum("yi,xj->ijyx", profile, profile).reshape(-1, 1, *face.shape[1:])  # [81, 1, S, S]
    mean = face.mean(axis=(1, 2), keepdims=True)  # [3, 1, 1]
    return np.asarray(face + patches * (mean - face), np.float32)  # [81, 3, S, S]


def measure_log_odds(rows: NDArray[np.float64], answer: int) -> NDArray[np.float64]:
    """``log(p / (1 - p))`` of one label in rows [N, C] that sum to 1; what is near 1 hardly moves itself."""
    rest = np.delete(rows, answer, axis=1).sum(axis=1)
    tiny = np.finfo(np.float64).tiny
    return np.asarray(np.log(np.maximum(rows[:, answer], tiny)) - np.log(np.maximum(rest, tiny)))


def spread_falls(falls: NDArray[np.float64], side: int) -> Heat:
    """The falls at each place as a smooth map, float32 [side, side] in [0, 1]."""
    weights = _profile(side, SPREAD * side / GRID)
    weights /= weights.sum(axis=1, keepdims=True)
    smooth = weights @ np.maximum(falls, 0) @ weights.T  # [S, 9] x [9, 9] x [9, S]
    return np.asarray(smooth / max(float(smooth.max()), LEAST), np.float32)


def _profile(side: int, deviation: float) -> NDArray[np.float64]:
    """A Gaussian around each place of the grid, 1 in its middle, along one side: float64 [side, 9]."""
    centres = (np.arange(GRID) + 0.5) * side / GRID - 0.5
    return np.asarray(np.exp(-0.5 * ((np.arange(side)[:, None] - centres) / deviation) ** 2))
