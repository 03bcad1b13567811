"""Writing faces as the folder tree that :func:`cmaen.data.fer2013.load_fer2013` reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import cv2

from cmaen.data.splits import FaceSet
from cmaen.files import unwritable
from cmaen.types import EMOTIONS


def write_tree(faces: FaceSet, folder: Path, progress: Callable[[Iterable[int]], Iterable[int]] = iter) -> None:
    """Write each face to ``<folder>/<split>/<emotion>/<name>.png``.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    root, colour = folder / faces.split.folder, faces.images.ndim == 4
    for index in progress(range(len(faces))):
        name = PurePosixPath(faces.names[index]).with_suffix(".png").name
        path = root / EMOTIONS[faces.labels[index]] / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                cv2.imencode(".png", faces.images[index][..., ::-1] if colour else faces.images[index])[1].tobytes()
            )
        except OSError as error:
            raise unwritable(path, error) from error
