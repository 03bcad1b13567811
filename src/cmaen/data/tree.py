"""Writing the folder tree that :func:`cmaen.data.faces.load_faces` reads, and reading how its faces were enhanced."""

from __future__ import annotations

import json
import zipfile
import zlib
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
"""The file in which ``cmaen enhance`` records what it did to a folder."""
STATS, SHEET, CHART = "dataset_stats.json", "synthetic.png", "balance.svg"
"""The files in which ``cmaen balance`` records what it did, shows some of the faces that it made, and draws counts."""
FACES = "faces"
"""First word of the entry, before the steps of a chain, that describes the faces before the first step."""
_LARGEST_MANIFEST = 2**28


def enhancement_of(path: Path) -> tuple[str, ...]:
    """Read the enhancement of a data set: a folder, a part of it (one split, or a table in it), or a zip of it.

    The first entry describes the faces before enhancement, such as ``faces 48-grey``, which older manifests lack; then
    follow the steps, each with the shortened SHA-256 of its weights. Without a manifest, there are no entries.

    Raises:
        DataError: There is a manifest that cannot be read.
    """
    places = (path,) if path.is_file() and zipfile.is_zipfile(path) else (path, path.absolute().parent)
    return next(filter(None, map(_read_chain, places)), ())


def _read_chain(place: Path) -> tuple[str, ...]:
    """Read the manifest of a folder, or of a zip of one."""
    manifest = place / MANIFEST
    try:
        text = _read_zipped(place) if place.is_file() else manifest.read_bytes() if manifest.is_file() else None
        found = {} if text is None else json.loads(text)
        if isinstance(found, dict) and "chain" not in found:  # somebody else's file of that name
            return ()
        return tuple(map(str, found["chain"]))
    except (OSError, ValueError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{manifest} cannot be read: {error}") from error


def _read_zipped(path: Path) -> bytes | None:
    """Read the manifest of a zipped folder, at its root or in its only folder; ``None`` if there is none."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        places = [name for name in archive.namelist() if PurePosixPath(name).name == MANIFEST and name.count("/") < 2]
        if not places:
            return None
        place = min(places, key=lambda name: name.count("/"))
        if archive.getinfo(place).file_size > _LARGEST_MANIFEST:
            raise ValueError(f"it has more than {_LARGEST_MANIFEST:,} bytes")
        return archive.read(place)


def steps_of(enhancement: Sequence[str]) -> tuple[str, ...]:
    """Select the steps of an enhancement, without the description of the faces before it."""
    return tuple(entry for entry in enhancement if not entry.startswith(f"{FACES} "))


def require_enhancement(path: Path, enhancement: Sequence[str]) -> None:
    """Refuse a data set whose faces were not enhanced like those a network was trained on.

    Raises:
        DataError: The enhancement is missing or different.
    """
    trained, found = steps_of(enhancement), steps_of(enhancement_of(path))
    if found != trained:
        wanted, there = (", ".join(steps) or "nothing" for steps in (trained, found))
        text = f"the network was trained on faces enhanced by {wanted}, but those of {path} were enhanced by {there}"
        raise DataError(text if found else f"{text}: name a copy of them that cmaen enhance has made")


def png(picture: NDArray[np.uint8]) -> bytes:
    """Encode a picture, grey uint8 [H, W] or RGB [H, W, 3], as PNG."""
    return cv2.imencode(".png", picture if picture.ndim == 2 else picture[..., ::-1])[1].tobytes()


def write_tree(faces: FaceSet | Iterable[FaceSet], folder: Path) -> None:
    """Write each face to ``<folder>/<split>/<emotion>/<name>.png``, where the name is the last part of its own.

    If that name is taken, for example by a face of another folder, some digits are added, see
    :class:`cmaen.naming.Names`: there are as many files as faces.

    Args:
        faces: The faces of one split, or parts of it with different names, of which one at a time is in memory.
        folder: Root of the tree; it must not contain this split yet.

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
