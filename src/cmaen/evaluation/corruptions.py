"""Corruptions by cameras, files and detectors, in five severities each (after Hendrycks and Dietterich, 2019).

A corruption takes faces uint8 [N, S, S] or [N, S, S, 3], a severity from 1 to 5 and a random generator, and returns
faces of the same shape and dtype. The strengths are chosen for 48 x 48 pixels and scale with the side.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Faces = NDArray[np.uint8]
Corruption = Callable[[Faces, int, np.random.Generator], Faces]
SEVERITIES = (1, 2, 3, 4, 5)
_SIDE = 48


def blur(faces: Faces, severity: int, _: np.random.Generator) -> Faces:
    """Blur with a Gaussian whose standard deviation is 0.5 to 2.5 pixels of 48."""
    sigma = 0.5 * severity * faces.shape[1] / _SIDE
    return _each(faces, lambda face: np.asarray(cv2.GaussianBlur(face, (0, 0), sigma), np.uint8))


def noise(faces: Faces, severity: int, rng: np.random.Generator) -> Faces:
    """Add Gaussian noise with a standard deviation of 8 to 40 grey levels."""
    return _levels(faces + rng.normal(0, 8 * severity, faces.shape))


def jpeg(faces: Faces, severity: int, _: np.random.Generator) -> Faces:
    """Compress as JPEG with a quality of 50 down to 8."""
    quality = (50, 30, 20, 12, 8)[severity - 1]

    def through_a_file(face: Faces) -> Faces:
        _, encoded = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), np.uint8)

    return _each(faces, through_a_file)


def low_light(faces: Faces, severity: int, rng: np.random.Generator) -> Faces:
    """Reduce the light to 60 % down to 8 %, with more sensor noise the darker it is."""
    light = (0.6, 0.4, 0.25, 0.15, 0.08)[severity - 1]
    return _levels(faces * light + rng.normal(0, severity, faces.shape))


def occlusion(faces: Faces, severity: int, rng: np.random.Generator) -> Faces:
    """Cover a random place with a grey square, whose side is 20 % to 60 % of the face's."""
    side = faces.shape[1]
    square = round(side * (0.1 + 0.1 * severity))
    hidden = faces.copy()
    for face, (top, left) in zip(hidden, rng.integers(0, side - square + 1, (len(faces), 2)), strict=True):
        face[top : top + square, left : left + square] = 128
    return np.asarray(hidden, np.uint8)


def rotation(faces: Faces, severity: int, rng: np.random.Generator) -> Faces:
    """Rotate by 9 to 45 degrees to either side."""
    angles = rng.choice([-1.0, 1.0], len(faces)) * 9 * severity
    return _warp(faces, angles, np.ones(len(faces)), np.zeros((len(faces), 2)))


def crop_jitter(faces: Faces, severity: int, rng: np.random.Generator) -> Faces:
    """Shift by up to 4 % to 20 % of the side and scale by up to as much, as an inaccurate detector would."""
    reach = 0.04 * severity
    scales = 1 + rng.uniform(-reach, reach, len(faces))
    return _warp(faces, np.zeros(len(faces)), scales, rng.uniform(-reach, reach, (len(faces), 2)))


def down_scaling(faces: Faces, severity: int, _: np.random.Generator) -> Faces:
    """Scale down to 32, 24, 18, 14 or 10 pixels and up again, as for a distant face."""
    side = faces.shape[1]
    small = (32, 24, 18, 14, 10)[severity - 1]

    def there_and_back(face: Faces) -> Faces:
        far = cv2.resize(face, (small, small), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(far, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)

    return _each(faces, there_and_back)


CORRUPTIONS: dict[str, Corruption] = {
    "blur": blur,
    "noise": noise,
    "jpeg": jpeg,
    "low light": low_light,
    "occlusion": occlusion,
    "rotation": rotation,
    "crop jitter": crop_jitter,
    "down-scaling": down_scaling,
}


def _warp(faces: Faces, angles: NDArray[np.float64], scales: NDArray[np.float64], shifts: NDArray[np.float64]) -> Faces:
    """Rotate each face by degrees, scale it, and shift it by fractions of the side; border pixels are replicated."""
    side = faces.shape[1]
    middle = ((side - 1) / 2, (side - 1) / 2)
    warped = np.empty_like(faces)
    for index, face in enumerate(faces):
        matrix = cv2.getRotationMatrix2D(middle, angles[index], scales[index])
        matrix[:, 2] += shifts[index] * side
        warped[index] = cv2.warpAffine(face, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return warped


def _each(faces: Faces, change: Callable[[Faces], Faces]) -> Faces:
    return np.stack([np.asarray(change(face), np.uint8) for face in faces])


def _levels(values: NDArray[np.float64]) -> Faces:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
