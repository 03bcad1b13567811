"""The only path from a face crop to the network's input, used by training, every engine, REST and video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import cmaen.opencv  # isort: skip  # noqa: F401 - checks OpenCV first
import cv2
import numpy as np
from numpy.typing import NDArray

_Pixel = TypeVar("_Pixel", np.uint8, np.float32)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's RGB channels, on the scale 0 to 1."""


@dataclass(frozen=True, slots=True)
class CropSpec:
    """The crop of a detected face: a square around the middle of its box, rotated so that the eyes are level.

    Landmarks determine only the rotation: scale and position by the eyes and the mouth cost YuNet's crops 2 to 3 points
    of accuracy compared with those by its box, and CenterFace's up to one (``docs/figures/detection.md``).

    Attributes:
        margin: The crop's side divided by the longer side of the box, for detectors without landmarks.
        landmark_margin: The same for detectors with landmarks, which draw larger boxes.
    """

    margin: float = 1.04
    landmark_margin: float = 0.94

    def __post_init__(self) -> None:
        if not (self.margin > 0 and self.landmark_margin > 0):
            raise ValueError(f"margins must be above 0: {self}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CropSpec:
        """Build the spec of a card; landmark keys of older cards are ignored."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """The conversion of a face crop to the network's input; the card of every checkpoint stores it.

    Attributes:
        image_size: Side H = W of the network's input, in pixels.
        grey: Whether colour is dropped (FER2013 has none, so a network trained on it must not see any).
        source_size: Side to which a larger crop is reduced first, so that a sharp photograph has no more detail than
            the training images; ``None`` keeps all detail.
        mean, std: Mean and deviation of the RGB channels, on the scale 0 to 1.
    """

    image_size: int = 224
    grey: bool = True
    source_size: int | None = 48
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if self.image_size < 1 or (self.source_size is not None and self.source_size < 1):
            raise ValueError(f"sizes must be at least 1 pixel: {self}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean and std must have three values, and std must be above 0: {self}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PreprocessSpec:
        """Build a spec from JSON, which turns tuples into lists."""
        converted: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**converted)

    def __call__(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Convert crops of any size, uint8 [h, w, 3] RGB or [h, w] grey, to float32 [B, 3, image_size, image_size]."""
        inputs = np.empty((len(crops), 3, self.image_size, self.image_size), np.float32)
        scale, shift = self.scale_and_shift
        for face, crop in zip(inputs, crops, strict=True):
            np.multiply(self._resize(crop), scale, out=face)
            face += shift
        return inputs

    def reduce(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Reduce a face crop to what the network will see, to keep it in few bytes until its batch is made.

        Args:
            crop: RGB uint8 [h, w, 3] or grey uint8 [h, w], of any size.

        Returns:
            uint8 [h, w] if colour is dropped, else [h, w, 3]; no larger than :attr:`side`, unless already smaller. It
            gives the same input as the crop, except that without ``source_size`` a large crop is rounded to whole grey
            levels once more.
        """
        if self.grey and crop.ndim == 3:
            crop = to_grey(crop)
        return resize(crop, self.side) if min(crop.shape[:2]) > self.side else crop

    @property
    def side(self) -> int:
        """The side in pixels up to which detail is kept; a larger crop is reduced to it."""
        return self.source_size or self.image_size

    @property
    def scale_and_shift(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The factor on grey levels and the shift added after it, float32 [3, 1, 1] each."""
        mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (self.mean, self.std))
        return np.asarray(1 / (255 * std), np.float32), np.asarray(-mean / std, np.float32)

    def _resize(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Resize to float32 [3, image_size, image_size] on the scale 0 to 255, or [1, ...] without colour."""
        if self.source_size is not None:
            crop = self.reduce(crop)
        elif self.grey and crop.ndim == 3:
            crop = to_grey(crop)
        pixels = resize(crop.astype(np.float32), self.image_size)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert RGB uint8 [H, W, 3] to grey [H, W] by ITU-R BT.601 luma, with which FER2013 was made."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)


def resize(pixels: NDArray[_Pixel], side: int) -> NDArray[_Pixel]:
    """Resize an image [h, w] or [h, w, 3] to a square of ``side``: area average to shrink, bilinear to enlarge."""
    if pixels.shape[:2] == (side, side):
        return pixels
    shrinks = min(pixels.shape[:2]) > side
    resized = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, pixels.dtype)
