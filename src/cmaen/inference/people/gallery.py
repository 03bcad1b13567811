"""People who are known by their photographs: a folder of photographs each, or one photograph named after each."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmaen.errors import CmaenError, GalleryError
from cmaen.images.reader import MAX_PIXELS, printable, read_image
from cmaen.inference.people.embedding import FaceEmbedder, Features
from cmaen.listing import LeftOut, list_images, name_some
from cmaen.types import FaceBox, Image

log = logging.getLogger(__name__)

Detect = Callable[[Image], list[FaceBox]]
"""Function that finds the faces of an image, RGB uint8 [H, W, 3]."""


@dataclass(frozen=True, eq=False)
class Known:
    """Somebody who is known.

    Attributes:
        name: Name of the person.
        faces: Features of the person's faces, float [N, F].
        count: Number of faces.
    """

    name: str
    faces: NDArray[np.float32]
    count: float
    excluded: bool = False

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean features, float64 [F]."""
        return np.asarray(self.faces.mean(axis=0, dtype=np.float64), np.float64)


@dataclass(frozen=True, eq=False)
class Gallery:
    """The people of a folder of photographs.

    Attributes:
        people: Everybody with a usable photograph, by name.
        left_out: Photographs that cannot be used, each with the reason.
    """

    people: tuple[Known, ...]
    left_out: tuple[str, ...]

    @property
    def photographs(self) -> int:
        """Number of photographs that are used."""
        return sum(len(one.faces) for one in self.people)


def read_gallery(
    folder: Path, detect: Detect, embedder: FaceEmbedder, *, excluded: bool = False, max_pixels: int = MAX_PIXELS
) -> Gallery:
    """Read the photographs of people.

    A folder in the folder holds the photographs of the person whom it is named after; a photograph beside such folders
    shows the person whom the file is named after. A photograph is used if it shows exactly one face; those that are not
    used are counted and named in a warning.

    Args:
        folder: The folder.
        detect: Finds faces.
        embedder: Computes their features.
        excluded: Whether these people are to be left out.
        max_pixels: Number of pixels above which a photograph is refused.

    Raises:
        GalleryError: The folder cannot be read, or no photograph can be used.
    """
    found: dict[str, list[Features]] = {}
    left_out: list[str] = []
    others = LeftOut()
    try:
        for path in list_images(folder, others):
            inside = path.relative_to(folder)
            name = _name_person(inside.parts[0] if len(inside.parts) > 1 else inside.stem)
            try:
                found.setdefault(name, []).append(_read_face(path, detect, embedder, max_pixels))
            except CmaenError as problem:
                left_out.append(f"{printable(inside)} ({problem})")
    except CmaenError as error:
        raise GalleryError(f"the photographs of people cannot be read: {error}") from error
    people = tuple(Known(name, np.stack(faces), len(faces), excluded) for name, faces in sorted(found.items()) if faces)
    reasons = [*([f"{len(left_out):,} of its photographs cannot be used: {name_some(left_out)}"] if left_out else []),
               *([f"left out: {others}"] if others else [])]  # fmt: skip
    if not people:
        raise GalleryError(
            f"{printable(folder)} shows nobody who can be recognised"
            f"{f' ({chr(59).join(reasons)})' if reasons else ''}; give each person a folder of photographs, or one "
            "photograph named after the person, each with exactly one face"
        )
    nobody = [name for name, faces in found.items() if not faces]
    if nobody:
        reasons.append(f"no photograph of {name_some(sorted(nobody))} can be used")
    if reasons:
        log.warning("%s: %s", printable(folder), "; ".join(reasons))
    return Gallery(people, tuple(left_out))


def _read_face(path: Path, detect: Detect, embedder: FaceEmbedder, max_pixels: int) -> Features:
    """Compute the features of the only face of a photograph.

    Raises:
        CmaenError: It cannot be read, or does not show exactly one face that can be compared.
    """
    image = read_image(path, max_pixels=max_pixels)
    faces = detect(image)
    if len(faces) != 1:
        raise GalleryError("it shows no face" if not faces else f"it shows {len(faces)} faces; cut out the right one")
    (look,) = embedder.look(image, faces)
    if look is None:
        raise GalleryError("its face is too small to be compared")
    return look.features


def _name_person(text: str) -> str:
    """Make a name of a file's or folder's name, which may hold any bytes."""
    return unicodedata.normalize("NFC", printable(text)).strip() or "?"
