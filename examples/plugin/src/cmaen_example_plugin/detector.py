"""A detector for portraits that are all taken alike, such as passport photographs: the face is in the middle."""

from __future__ import annotations

from pathlib import Path

from cmaen import DetectorOptions, FaceBox
from cmaen.errors import DetectorError
from cmaen.types import Image


class Portrait:
    """Returns one face in the middle of each image, without looking at it.

    Args:
        model: Must be ``None``, since it needs no model file.
        options: Options of every detector; only ``min_face`` has an effect.
        threads: Number of threads, which it does not need.

    Raises:
        DetectorError: A model file is given.
    """

    def __init__(self, model: Path | None = None, *, options: DetectorOptions, threads: int | None = None) -> None:
        if model is not None:
            raise DetectorError(f"the detector portrait takes no model file, not {model}")
        self._min_face = options.min_face

    def __call__(self, image: Image) -> list[FaceBox]:
        """Return the box for an image, RGB uint8 [H, W, 3], or nothing if it is smaller than the smallest face."""
        height, width = image.shape[:2]
        side = min(height, width) / 2
        if side < self._min_face:
            return []
        return [FaceBox((width - side) / 2, (height - side) / 2, side, side)]
