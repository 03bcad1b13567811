"""Reading faces one by one into a set: an unreadable face is named and left out, without affecting the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet, Split
from cmaen.errors import CmaenError, DataError
from cmaen.preprocessing import resize
from cmaen.types import EMOTIONS

SIDE = 48
"""Default side in pixels to which faces of different sizes are resized: FER2013's."""
MAX_FILE = 64 * 2**20
"""Maximum size in bytes of an image in a zip, because a small zip can hold files of any size."""
MAX_PIXELS = 2048 * 2048
"""Maximum number of pixels of an image that keeps its size; a larger one is reduced when it is read."""
MAX_TOTAL = 8 * 2**30
"""Maximum size in bytes of a split that is held in memory, at one byte per value."""
MAX_UNREADABLE = 100_000
"""Maximum number of unreadable images of a split; a set with more is not a set of faces."""
_LONGEST_REASON = 300

log = logging.getLogger(__name__)

Face = tuple[int, NDArray[np.uint8]]
"""A label and its image, uint8 [H, W], or [H, W, 3] where colour is kept."""
Entries = Iterable[tuple[str, Callable[[], Face]]]
"""Names, each with a function that reads its face."""


def collect(split: Split, entries: Entries, *, classes: tuple[str, ...] = EMOTIONS, side: int = SIDE) -> FaceSet:
    """Read every entry; unreadable ones are reported and left out, never replaced.

    Args:
        split: Split of all entries.
        entries: See :data:`Entries`.
        classes: Classes that the labels are indices into.
        side: Side in pixels to which all faces are resized if they differ in size, are not square or are photographs.

    Raises:
        DataError: The faces take too much memory, or too many cannot be read.
    """
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    names: list[str] = []
    unreadable: list[str] = []
    mixed = False
    for name, label, image in read_each(entries, unreadable, side):
        if not mixed and images and image.shape != images[0].shape:
            mixed, images = True, [resize(before, side) for before in images]
        image = resize(image, side) if mixed else image
        if (len(images) + 1) * image.size > MAX_TOTAL:
            raise DataError(
                f"the faces of the split {split.folder} take more than {MAX_TOTAL:,} bytes of memory; reduce their size"
            )
        images.append(image)
        labels.append(label)
        names.append(name)
    if unreadable and images:  # if there are no images, the caller explains why
        log.warning("%d unreadable images are left out; the first: %s", len(unreadable), unreadable[0])
    pixels = np.stack(images) if images else np.empty((0, side, side), np.uint8)
    return FaceSet(
        split, pixels, np.array(labels, np.int64), tuple(names), unreadable=tuple(unreadable), classes=classes
    )


def read_each(
    entries: Entries, unreadable: list[str], side: int, *, evenly: bool = False
) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
    """Read entry by entry: yield the name, the label and the image of each, uint8 [H, W] or [H, W, 3].

    Args:
        entries: See :data:`Entries`.
        unreadable: Takes the names of those that cannot be read, with the reason.
        side: Side in pixels to which an image is resized that is not square or is a photograph.
        evenly: Whether to resize every image.

    Raises:
        DataError: Too many cannot be read.
    """
    for name, read in entries:
        try:
            label, image = read()
        except (CmaenError, ValueError, OverflowError, cv2.error) as error:
            unreadable.append(f"{name}: {error}"[:_LONGEST_REASON])
            if len(unreadable) > MAX_UNREADABLE:
                raise DataError(
                    f"more than {MAX_UNREADABLE:,} images are unreadable, for example {unreadable[0]}"
                ) from error
            continue
        if evenly or image.shape[0] * image.shape[1] > MAX_PIXELS or image.shape[0] != image.shape[1]:
            image = resize(image, side)
        yield name, label, image
