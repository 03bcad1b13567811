"""Copies of one image in two splits: exact ones by their pixels, near ones by a perceptual hash that is then verified.

FER2013 leaks: 280 of its 3,589 validation images are also in Training, pixel by pixel, 57 groups of them under
different labels. Every published figure includes them; here they are reported and can be left out of training.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet
from cmaen.data.stored import Images
from cmaen.preprocessing import to_grey

HASH_SIDE = 8
MAX_HASH_DISTANCE = 10
MIN_CORRELATION = 0.95
_REDUCED_SIDE = 32
_BLOCK = 4096

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
    if not (len(first) and len(second)):
        return []
    copies = {(i, j): Copy("exact", i, j, 1.0) for i, j in _exact_pairs(first.images, second.images)}
    reduced_first = _reduce(first.images)
    reduced_second = reduced_first if second.images is first.images else _reduce(second.images)
    hashes = np.concatenate([perceptual_hash(block) for block in _blocks(reduced_first)])
    kinds: list[tuple[Kind, slice]] = [("near", slice(None)), ("mirrored", slice(None, None, -1))]
    for kind, across in kinds:
        for start, block in zip(range(0, len(reduced_second), _BLOCK), _blocks(reduced_second), strict=True):
            view = block[:, :, across]
            standard_view = _standardise(view)
            for j, code in enumerate(perceptual_hash(view)):
                candidates = np.flatnonzero(np.bitwise_count(hashes ^ code) <= MAX_HASH_DISTANCE)
                if not len(candidates):
                    continue
                others = _standardise(reduced_first[candidates].astype(np.float32))
                for i, other in zip(candidates.tolist(), others, strict=True):
                    correlation = float(other @ standard_view[j])
                    if correlation >= MIN_CORRELATION and (i, start + j) not in copies:
                        copies[i, start + j] = Copy(kind, i, start + j, correlation)
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


def _exact_pairs(first: Images, second: Images) -> list[tuple[int, int]]:
    places = defaultdict(list)
    for i, image in enumerate(first):
        places[_digest(image)].append(i)
    return [(i, j) for j, image in enumerate(second) for i in places.get(_digest(image), ())]


def _digest(image: NDArray[np.uint8]) -> tuple[tuple[int, ...], bytes]:
    """Return what only an equal image has: the pixels of all of them might not fit into memory."""
    return image.shape, hashlib.sha256(image.tobytes()).digest()


def _reduce(images: Images) -> NDArray[np.uint8]:
    """Reduce the images to grey ones of 32 x 32 pixels, uint8 [N, 32, 32]."""
    reduced = np.empty((len(images), _REDUCED_SIDE, _REDUCED_SIDE), np.uint8)
    for small, image in zip(reduced, images, strict=True):
        grey = image if image.ndim == 2 else to_grey(image)  # [H, W, 3] -> [H, W]
        small[:] = cv2.resize(grey, small.shape, interpolation=cv2.INTER_AREA)
    return reduced


def _blocks(reduced: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """Yield reduced images block by block, float32 [B, 32, 32], of which one at a time is in memory."""
    for start in range(0, len(reduced), _BLOCK):
        yield reduced[start : start + _BLOCK].astype(np.float32)


def _standardise(reduced: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to mean 0 and length 1, float32 [N, 1024]; a flat image becomes zeros and correlates with nothing."""
    flat = reduced.reshape(len(reduced), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-3), np.float32)
