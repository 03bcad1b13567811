"""The folder tree that :func:`cmaen.data.faces.load_faces` reads: writing it, and what was done to its faces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet
from cmaen.errors import DataError
from cmaen.files import unwritable

MANIFEST = "manifest.json"
"""What ``cmaen enhance`` says of a folder."""


def enhancement_of(path: Path) -> tuple[str, ...]:
    """The steps that the faces of a data set went through, each with its weights' SHA-256 cut short; none where no
    manifest says so.

    Raises:
        DataError: There is a manifest that cannot be read.
    """
    manifest = path / MANIFEST
    if not manifest.is_file():
        return ()
    try:
        return tuple(map(str, json.loads(manifest.read_text(encoding="utf-8"))["chain"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{manifest} cannot be read: {error}") from error


def require_enhancement(path: Path, enhancement: Sequence[str]) -> None:
    """Refuse a data set whose faces did not go through what a network was trained on.

    Raises:
        DataError: They did not, or went through something else.
    """
    found = enhancement_of(path)
    if found != tuple(enhancement):
        wanted, there = (", ".join(steps) or "nothing" for steps in (enhancement, found))
        raise DataError(f"the network was trained on faces that went through {wanted}, and those of {path} did {there}")


def png(picture: NDArray[np.uint8]) -> bytes:
    """The file of a picture, grey uint8 [H, W] or RGB [H, W, 3]."""
    return cv2.imencode(".png", picture if picture.ndim == 2 else picture[..., ::-1])[1].tobytes()


def write_tree(faces: FaceSet, folder: Path, progress: Callable[[Iterable[int]], Iterable[int]] = iter) -> None:
    """Write each face to ``<folder>/<split>/<emotion>/<name>.png``.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    root = folder / faces.split.folder
    for index in progress(range(len(faces))):
        name = PurePosixPath(faces.names[index]).with_suffix(".png").name
        path = root / faces.classes[faces.labels[index]] / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(faces.images[index]))
        except OSError as error:
            raise unwritable(path, error) from error
