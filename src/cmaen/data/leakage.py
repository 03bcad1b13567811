"""Copies of one image in two splits: exact ones by their pixels, near ones by a perceptual hash that is then verified.

FER2013 leaks: 280 of its 3,589 validation images are also in Training, pixel by pixel, 57 groups of them under
different labels. Every published figure includes them; here they are reported and can be left out of training.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet
from cmaen.preprocessing import to_grey

HASH_SIDE = 8
MAX_HASH_DISTANCE = 10
MIN_CORRELATION = 0.95
_REDUCED_SIDE = 32

Kind = Literal["exact", "near", "mirrored"]


@dataclass(frozen=True, slots=True)
class Copy:
    """An image that two sets share.

    Attributes:
        kind: ``exact`` (equal pixels), ``near`` (re-encoded, slightly re-cropped or re-lit) or ``mirrored``.
        first, second: Indices into the two sets.
        correlation: Correlation of the pixels at 32 x 32, in [-1, 1]; 1 for exact copies.
    """

    kind: Kind
    first: int
    second: int
    correlation: float

    def row(self, first: FaceSet, second: FaceSet) -> dict[str, str | float]:
        """Return the names and labels of the pair, for a table."""
        return {
            "kind": self.kind,
            "first": first.names[self.first],
            "first_label": first.classes[first.labels[self.first]],
            "second": second.names[self.second],
            "second_label": second.classes[second.labels[self.second]],
            "correlation": round(self.correlation, 4),
        }


def find_copies(first: FaceSet, second: FaceSet) -> list[Copy]:
    """Find all pairs of copies between two sets, ordered by index.

    Near copies have perceptual hashes that differ in at most 10 of 64 bits and pixels with a correlation of at least
    0.95.
    """
    copies = {(i, j): Copy("exact", i, j, 1.0) for i, j in _exact_pairs(first.images, second.images)}
    reduced_first, reduced_second = _reduce(first.images), _reduce(second.images)
    hashes = perceptual_hash(reduced_first)
    views: list[tuple[Kind, NDArray[np.float32]]] = [("near", reduced_second), ("mirrored", reduced_second[:, :, ::-1])]
    for kind, view in views:
        standard_first, standard_view = _standardise(reduced_first), _standardise(view)
        for j, code in enumerate(perceptual_hash(view)):
            for i in np.flatnonzero(np.bitwise_count(hashes ^ code) <= MAX_HASH_DISTANCE).tolist():
                correlation = float(standard_first[i] @ standard_view[j])
                if correlation >= MIN_CORRELATION and (i, j) not in copies:
                    copies[i, j] = Copy(kind, i, j, correlation)
    return [copies[pair] for pair in sorted(copies)]


def without_copies(faces: FaceSet, other: FaceSet, *, exact_only: bool) -> FaceSet:
    """Select the faces that have no copy in the other set."""
    keep = np.ones(len(faces), bool)
    for copy in find_copies(faces, other):
        if copy.kind == "exact" or not exact_only:
            keep[copy.first] = False
    return faces.select(keep)


def perceptual_hash(reduced: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Compute the PHash of float32 [N, 32, 32]: one bit per low DCT coefficient, set above their median; uint64 [N]."""
    basis = np.empty((HASH_SIDE, _REDUCED_SIDE), np.float32)  # rows of the DCT-II
    positions = (np.arange(_REDUCED_SIDE) + 0.5) * np.pi / _REDUCED_SIDE
    for k in range(HASH_SIDE):
        basis[k] = np.cos(positions * (k + 1))  # the constant term carries no information about the content
    coefficients = (basis @ reduced @ basis.T).reshape(len(reduced), HASH_SIDE * HASH_SIDE)
    bits = coefficients > np.median(coefficients, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _exact_pairs(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> list[tuple[int, int]]:
    places = defaultdict(list)
    for i, image in enumerate(first):
        places[image.shape, image.tobytes()].append(i)
    return [(i, j) for j, image in enumerate(second) for i in places.get((image.shape, image.tobytes()), ())]


def _reduce(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    side = (_REDUCED_SIDE, _REDUCED_SIDE)
    greys = images if images.ndim == 3 else map(to_grey, images)  # [H, W, 3] -> [H, W] each
    small = [cv2.resize(image, side, interpolation=cv2.INTER_AREA) for image in greys]
    return np.asarray(small, np.float32).reshape(-1, *side)


def _standardise(reduced: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to mean 0 and length 1, float32 [N, 1024]; a flat image becomes zeros and correlates with nothing."""
    flat = reduced.reshape(len(reduced), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-3), np.float32)
