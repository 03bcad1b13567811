"""The arithmetic of colouring a face around its network, without PyTorch: lightness in, chroma out."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.data.restoration import Faces

_GAMUT_STEPS = 12


def lightness_of(faces: Faces) -> NDArray[np.float32]:
    """Compute the lightness of CIELAB of RGB faces, uint8 [B, H, W, 3] -> float32 [B, H, W] from 0 to 100."""
    return np.stack([cv2.cvtColor(face.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0] for face in faces])


def colour(lightness: NDArray[np.float32], chroma: NDArray[np.float32]) -> Faces:
    """Give faces colour: only chroma is added, lightness is unchanged.

    If a colour does not exist at a pixel's lightness, its chroma is reduced until it does.

    Args:
        lightness: Float32 [B, H, W], see :func:`lightness_of`.
        chroma: The channels a and b of CIELAB, float32 [B, H, W, 2].

    Returns:
        RGB uint8 [B, H, W, 3].
    """
    found = [_in_gamut(light, ab) for light, ab in zip(lightness, chroma, strict=True)]
    return np.stack([np.rint(255 * rgb).astype(np.uint8) for rgb in found])


def resample(images: NDArray[np.float32], height: int, width: int, *, smooth: bool) -> NDArray[np.float32]:
    """Resize images [..., H, W] by a bilinear filter to [..., height, width], as ``interpolate`` of PyTorch does.

    Args:
        images: Images of any number of leading dimensions.
        height, width: Size of the result in pixels.
        smooth: Whether the filter grows with the reduction, so that fine detail does not alias.
    """
    down, across = _weights(images.shape[-2], height, smooth), _weights(images.shape[-1], width, smooth)
    return np.asarray(down @ images @ across.T, np.float32)  # [h, H] @ [..., H, W] @ [W, w] -> [..., h, w]


@lru_cache(maxsize=32)
def _weights(before: int, after: int, smooth: bool) -> NDArray[np.float32]:
    """Compute the weight of each pixel of a row in each pixel of the resized row, [after, before]; rows sum to 1."""
    scale = before / after
    reach = max(scale, 1.0) if smooth else 1.0
    centres = (np.arange(after) + 0.5) * scale - 0.5
    if not smooth:
        centres = centres.clip(0, before - 1)
    weights = np.maximum(1 - np.abs(np.arange(before) - centres[:, None]) / reach, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _rgb(lightness: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert CIELAB to RGB in [0, 1], or outside that range if the colour does not exist."""
    lab = np.dstack([lightness, chroma]).astype(np.float32)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32)


def _in_gamut(lightness: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute RGB [H, W, 3] of this lightness [H, W], with as much of the chroma [H, W, 2] as the gamut allows."""
    share = np.ones_like(lightness)
    for _ in range(_GAMUT_STEPS):
        found = _rgb(lightness, chroma * share[..., None])
        back = cv2.cvtColor(found.clip(0, 1), cv2.COLOR_RGB2LAB)[..., 0]
        off = np.abs(back - lightness) > 0.5
        if not off.any():
            break
        share[off] *= 0.75
    return np.clip(_rgb(lightness, chroma * share[..., None]), 0, 1)
