"""The folder tree that :func:`cmaen.data.faces.load_faces` reads: writing it, and what was done to its faces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.data.splits import FaceSet
from cmaen.errors import DataError
from cmaen.files import unwritable
from cmaen.naming import Names

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


def write_tree(faces: FaceSet | Iterable[FaceSet], folder: Path) -> None:
    """Write each face to ``<folder>/<split>/<emotion>/<name>.png``, its name being the last part of its own.

    Where that is taken already, like by a face of another folder, some digits are added, see
    :class:`cmaen.naming.Names`: there are as many files as faces.

    Args:
        faces: Of one split; or parts of it, with names of their own, of which one at a time is held.
        folder: Of the tree; nothing of this split is in it yet.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    names = Names()
    for number, part in enumerate([faces] if isinstance(faces, FaceSet) else faces):
        for name, label, image in zip(part.names, part.labels.tolist(), part.images, strict=True):
            wanted = (part.split.folder, part.classes[label], f"{PurePosixPath(name).stem or '_'}.png")
            path = folder / names.place(wanted, f"{number}/{name}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(image))
            except OSError as error:
                raise unwritable(path, error) from error
