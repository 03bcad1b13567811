"""Converting a decoded picture to RGB bytes, band by band: intermediate values take a few megabytes, not a gigabyte."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from cmaen.images.conversion import range_of
from cmaen.types import Image

_BAND_PIXELS = 1_000_000


def flatten(image: PILImage.Image) -> Image:
    """Convert a decoded picture of any mode to RGB uint8 [H, W, 3], contiguous, with transparency on white."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(np.asarray(image))
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in _bands(image.height, image.width):
        band = image.crop((0, rows.start, image.width, rows.stop))
        if band.has_transparency_data:
            canvas = PILImage.new("RGBA", band.size, "white")
            band = PILImage.alpha_composite(canvas, band.convert("RGBA"))
        pixels[rows] = np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
    return pixels


def _from_deep_grey(pixels: NDArray[np.generic]) -> Image:
    """Convert 16-bit, 32-bit or float grey to RGB.

    16-bit files may contain 10, 12 or 14 bits (scanners, infrared, X-rays): the range is the smallest that holds all
    values. Values up to 255 are kept unchanged.
    """
    bands = list(_bands(*pixels.shape))
    low = min(float(_finite(pixels[rows]).min()) for rows in bands)
    high = max(float(_finite(pixels[rows]).max()) for rows in bands)
    full = 255.0
    if high > 255:
        full = range_of(high)
    elif pixels.dtype.kind == "f" and low >= 0 and high <= 1:
        full = 1.0
    grey = np.empty((*pixels.shape, 3), np.uint8)
    for rows in bands:
        grey[rows] = np.clip(np.rint(_finite(pixels[rows]) * 255 / full), 0, 255)[:, :, None]
    return grey


def _finite(pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _bands(height: int, width: int) -> Iterator[slice]:
    """Split the rows of a picture into bands."""
    rows = max(1, _BAND_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))
