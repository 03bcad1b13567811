"""A face known by its pixels: it has the same key in a CSV, in a folder and in a zip, under any name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.data.stored import Images
from cmaen.preprocessing import resize, to_grey

SIDE = 48
"""Side in pixels of what is hashed: FER2013's."""
FER2013_KEYS = "fer2013.npz"
"""File beside this module with the keys of FER2013, which ``examples/write_keys.py`` writes."""


def face_keys(images: Images | Sequence[NDArray[np.uint8]]) -> NDArray[np.uint64]:
    """Compute the key of each face, uint64 [N]: the first 8 bytes of the SHA-256 of its pixels, little-endian.

    The pixels are the face's 48 x 48 grey levels, row by row. A larger or coloured face is converted as in
    preprocessing, :func:`cmaen.preprocessing.to_grey` and then :func:`cmaen.preprocessing.resize`.

    Args:
        images: uint8 [N, H, W], grey, or [N, H, W, 3], RGB; one at a time is converted, so they may be in a file.
    """
    keys = np.empty(len(images), np.uint64)
    for row, image in enumerate(images):
        grey = to_grey(image) if image.ndim == 3 else image  # [H, W, 3] -> [H, W]
        pixels = np.ascontiguousarray(resize(grey, SIDE))  # [H, W] -> [48, 48]
        keys[row] = int.from_bytes(hashlib.sha256(pixels.tobytes()).digest()[:8], "little")
    return keys


def find_rows(known: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Find the first row in which each key stands, int64 [N]; -1 if it is not known.

    Args:
        known: Keys uint64 [M] in any order; a key may stand there several times.
        wanted: Keys uint64 [N].
    """
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    order = np.argsort(known, kind="stable")
    places = np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)
    rows = order[places]
    return np.where(known[rows] == wanted, rows, -1).astype(np.int64)


def order_like(known: NDArray[np.uint64], keys: NDArray[np.uint64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the order in which faces stand as in a known set that is sorted by label, int64 [N].

    What depends on the order of its faces, if only by rounding, is then the same for a set in any form.

    Args:
        known: Keys of the known set, uint64 [M].
        keys: Keys of the faces, uint64 [N]. Faces that are not known, or more often than there, stand at the end.
        labels: Labels of the faces, int64 [N]; they put copies of a face in order.
    """
    faces, rows = np.lexsort((labels, keys)), np.argsort(known, kind="stable")
    keys, known = keys[faces], known[rows]
    places = np.searchsorted(known, keys) + np.arange(len(keys)) - np.searchsorted(keys, keys)  # first, second copy ...
    there = places < len(known)
    there[there] = known[places[there]] == keys[there]
    position = np.full(len(keys), len(known))
    position[there] = rows[places[there]]
    return np.asarray(faces[np.argsort(position, kind="stable")], np.int64)


class Fer2013Keys(NamedTuple):
    """The keys of FER2013.

    Attributes:
        training: Keys of Training, uint64 [28709], in the order of the set that has the fingerprint.
        validation: Keys of PublicTest, uint64 [3589].
        fingerprint: See :meth:`cmaen.data.splits.FaceSet.fingerprint`: that of Training as the zip in which the first
            teachers answered it.
    """

    training: NDArray[np.uint64]
    validation: NDArray[np.uint64]
    fingerprint: str

    @classmethod
    def read(cls) -> Fer2013Keys:
        """Read the file that comes with the package."""
        with np.load(packaged(FER2013_KEYS)) as kept:
            return cls(kept["training"], kept["validation"], str(kept["fingerprint"]))


def packaged(name: str) -> Path:
    """Return the path of a file that lies beside this module."""
    return Path(str(files("cmaen.data") / name))
