"""Reading faces one by one into a set: what cannot be read is named and left out, and costs no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet, Split
from cmaen.errors import CmaenError, DataError
from cmaen.preprocessing import resize
from cmaen.types import EMOTIONS

SIDE = 48
"""Pixels that faces of different sizes are brought to, if nobody says otherwise: FER2013's."""
MAX_FILE = 64 * 2**20
"""Bytes of an image in a zip; larger ones are left out, for a small zip can hold files of any size."""
MAX_PIXELS = 2048 * 2048
"""Of an image that is kept as it is; a larger one, like a portrait from a camera, is reduced when it is read."""
MAX_TOTAL = 8 * 2**30
"""Pixels of a split, which is held in memory, at a byte each."""
MAX_UNREADABLE = 100_000
"""Images of a split that are left out, each with its reason; a set with more is another file."""
_LONGEST_REASON = 300

log = logging.getLogger(__name__)

Face = tuple[int, NDArray[np.uint8]]
"""A label and its image, uint8 [H, W], or [H, W, 3] where colour is kept."""
Entries = Iterable[tuple[str, Callable[[], Face]]]
"""Names, and what reads the face of each."""


def collect(split: Split, entries: Entries, *, classes: tuple[str, ...] = EMOTIONS, side: int = SIDE) -> FaceSet:
    """Read every entry; what cannot be read is reported and left out, never replaced.

    Args:
        split: Of them all.
        entries: See :data:`Entries`.
        classes: That the labels are indices into.
        side: Pixels that all faces are brought to, if they differ in size, are not square or are photographs.

    Raises:
        DataError: The faces take too much memory, or too many cannot be read.
    """
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    names: list[str] = []
    unreadable: list[str] = []
    mixed = False
    for name, read in entries:
        try:
            label, image = read()
        except (CmaenError, ValueError, OverflowError, cv2.error) as error:
            unreadable.append(f"{name}: {error}"[:_LONGEST_REASON])
            if len(unreadable) > MAX_UNREADABLE:
                raise DataError(f"more than {MAX_UNREADABLE:,} images are unreadable, as {unreadable[0]}") from error
            continue
        if image.shape[0] * image.shape[1] > MAX_PIXELS or image.shape[0] != image.shape[1]:
            image = resize(image, side)
        if not mixed and images and image.shape != images[0].shape:
            mixed, images = True, [resize(before, side) for before in images]
        image = resize(image, side) if mixed else image
        if (len(images) + 1) * image.size > MAX_TOTAL:
            raise DataError(
                f"the faces of the split {split.folder} take more than {MAX_TOTAL:,} bytes of memory; scale them down"
            )
        images.append(image)
        labels.append(label)
        names.append(name)
    if unreadable and images:  # of none at all the caller says why
        log.warning("%d unreadable images left out, the first: %s", len(unreadable), unreadable[0])
    pixels = np.stack(images) if images else np.empty((0, side, side), np.uint8)
    return FaceSet(
        split, pixels, np.array(labels, np.int64), tuple(names), unreadable=tuple(unreadable), classes=classes
    )
