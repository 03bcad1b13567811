"""Face crops without labels, which a network learns from through another network's answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from cmaen.data.reading import Face, collect
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import DataError
from cmaen.images.reader import printable, read_image
from cmaen.listing import LeftOut, list_images
from cmaen.naming import make_unique
from cmaen.preprocessing import resize, to_grey


def load_unlabelled(folder: Path, side: int) -> FaceSet:
    """Load the crops of a folder and its subfolders, grey; their labels are meaningless.

    Files that are not pictures are left out, counted and logged.

    Args:
        folder: Folder of crops, as made by ``cmaen crop``.
        side: Side in pixels to which they are resized.

    Raises:
        DataError: There is no readable image; the message says why.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder of face crops")
    left_out = LeftOut()
    files = list(list_images(folder, left_out))
    left_out.say(folder)

    def read(path: Path) -> Face:
        return 0, resize(to_grey(read_image(path)), side)

    names = make_unique([printable(path.relative_to(folder)) for path in files])
    faces = collect(Split.TRAIN, [(name, partial(read, path)) for name, path in zip(names, files, strict=True)])
    if not len(faces):
        reason = f": {faces.unreadable[0]}" if faces.unreadable else f"; left out: {left_out}" if left_out else ""
        raise DataError(f"{folder} holds no readable image of a face{reason}")
    return faces
