"""Pairs for training enhancement networks: a colour face, and its degraded version, small and grey."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cmaen.errors import DataError, ImageError
from cmaen.images.reader import read_image
from cmaen.listing import LeftOut, list_images
from cmaen.preprocessing import to_grey

Faces = NDArray[np.uint8]
"""RGB images, uint8 [B, S, S, 3]."""

SIDE = 200
"""Side in pixels at which faces are stored: UTKFace's."""

_SMALL, _PATCH, _SCALE = 48, 32, 4
_HELD_OUT = 10

log = logging.getLogger(__name__)


class Pairs(NamedTuple):
    """Inputs and targets of a network, both float32 [B, C, H, W]."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]


def load_colour_faces(
    folders: Sequence[Path], *, held_out: bool, progress: Callable[[Sequence[Any]], Iterable[Any]] = iter
) -> Faces:
    """Load the middle squares of colour pictures, uint8 [N, 200, 200, 3].

    Args:
        folders: Folders of images; files that are left out or cannot be read are logged.
        held_out: Whether to load the tenth, by the hash of the name, that is never trained on, or all others.
        progress: Wraps the list of files.

    Raises:
        DataError: A folder is missing, or there is no image.
    """
    files: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder of images")
        left_out = LeftOut()
        files += list_images(folder, left_out)
        left_out.say(folder)
    squares = map(_square_of, progress([path for path in files if _is_held_out(path.name) == held_out]))
    faces = [square for square in squares if square is not None]
    if not faces:
        raise DataError(f"{', '.join(map(str, folders)) or 'no folder'}: there is no image to train on")
    return np.stack(faces)


def small_and_large(faces: Faces, rng: np.random.Generator | None) -> Pairs:
    """Make pairs of RGB in [0, 1] at a quarter of the side and at the full side.

    With a generator: patches of 32 pixels, mirrored at random, half of them grey, half of them degraded like FER2013's
    by blur, noise and JPEG. Without: the middle 48 pixels, grey, reduced by a bicubic filter alone.
    """
    inputs, targets = [], []
    for face in faces:
        side = _SCALE * (_SMALL if rng is None else _PATCH)
        top, left = ((SIDE - side) // 2,) * 2 if rng is None else rng.integers(0, SIDE - side + 1, 2)
        large = face[top : top + side, left : left + side]
        if rng is not None and rng.random() < 0.5:
            large = large[:, ::-1]
        if rng is None or rng.random() < 0.5:
            large = np.dstack([to_grey(large)] * 3)
        inputs.append(reduce(large) if rng is None or rng.random() < 0.5 else degrade(large, rng))
        targets.append(large)
    return Pairs(*(_channels_first(np.stack(part) / np.float32(255)) for part in (inputs, targets)))


def grey_and_chroma(faces: Faces, rng: np.random.Generator | None, side: int) -> Pairs:
    """Make pairs of grey RGB in [0, 1] and the chroma a and b of CIELAB.

    With a generator: squares of half the face to all of it, mirrored at random, half of them enlarged from a quarter of
    their side, like the output of super-resolution, with a random contrast of the grey. Without: the whole face.
    """
    inputs, targets = [], []
    for face in faces:
        part = face
        if rng is not None:
            extent = int(SIDE * rng.uniform(0.5, 1))
            top, left = rng.integers(0, SIDE - extent + 1, 2)
            part = part[top : top + extent, left : left + extent]
            if rng.random() < 0.5:
                part = part[:, ::-1]
        colour = cv2.resize(np.ascontiguousarray(part), (side, side), interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(colour.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        lightness, chroma = np.asarray(lab[..., 0], np.float32), lab[..., 1:]
        if rng is not None and rng.random() < 0.5:
            small = cv2.resize(lightness, (side // 4, side // 4), interpolation=cv2.INTER_AREA)
            lightness = np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)
        if rng is not None:
            lightness = np.clip(lightness * rng.uniform(0.75, 1.25) + rng.uniform(-8, 8), 0, 100)
        inputs.append(grey_of(lightness))
        targets.append(chroma)
    return Pairs(_channels_first(np.stack(inputs)), _channels_first(np.stack(targets)))


def grey_of(lightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert CIELAB's lightness [H, W] to grey RGB in [0, 1], [H, W, 3]."""
    lab = np.dstack([lightness, np.zeros((*lightness.shape, 2))]).astype(np.float32)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32)


def reduce(large: Faces) -> Faces:
    """Reduce RGB uint8 [S, S, 3] to a quarter of the side, by a bicubic filter."""
    side = large.shape[0] // _SCALE
    return np.array(Image.fromarray(np.ascontiguousarray(large)).resize((side, side), Image.Resampling.BICUBIC))


def degrade(large: Faces, rng: np.random.Generator) -> Faces:
    """Degrade a picture as on the web: blur, reduce by a random filter, add noise and compress as JPEG."""
    blurred = np.asarray(cv2.GaussianBlur(large, (0, 0), rng.uniform(0.3, 4)), np.uint8)
    side = large.shape[0] // _SCALE
    small = reduce(blurred) if rng.random() < 0.5 else cv2.resize(blurred, (side, side), interpolation=cv2.INTER_AREA)
    grains = rng.normal(0, rng.uniform(0, 8), (*small.shape[:2], 1))  # grey, so that grey faces stay grey
    noisy = np.clip(np.rint(small + grains), 0, 255).astype(np.uint8)
    quality = int(rng.integers(40, 96))
    _, encoded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def _is_held_out(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % _HELD_OUT == 0


def _square_of(path: Path) -> Faces | None:
    """Return the middle square of a picture; ``None`` if it cannot be read."""
    try:
        image = read_image(path)
    except ImageError as error:
        log.warning("left out: %s", error)
        return None
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    return square if side == SIDE else np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def _channels_first(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
