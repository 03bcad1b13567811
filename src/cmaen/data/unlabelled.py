"""Face crops without labels, which a network learns from by what another one says of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from cmaen.data.reading import MAX_PIXELS, Face, collect
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import DataError
from cmaen.images import is_image_name, printable, read_image
from cmaen.preprocessing import GREY_WEIGHTS, resize


def load_unlabelled(folder: Path, side: int) -> FaceSet:
    """The crops of a folder and of those in it, grey; their labels mean nothing.

    Args:
        folder: Of crops as ``cmaen crop`` makes them.
        side: Pixels that they are brought to.

    Raises:
        DataError: There is no readable image.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder of face crops")
    files = [path for path in sorted(folder.rglob("*")) if is_image_name(path)]

    def read(path: Path) -> Face:
        image = read_image(path, max_pixels=MAX_PIXELS)
        return 0, resize(np.rint(image @ GREY_WEIGHTS).astype(np.uint8), side)

    faces = collect(Split.TRAIN, [(printable(path.relative_to(folder)), partial(read, path)) for path in files])
    if not len(faces):
        raise DataError(f"{folder} holds no readable image of a face")
    return faces
