"""The only path from a face crop to the network's input: training, every engine, REST and video all call it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import cmaen.opencv  # isort: skip  # noqa: F401 - what is wrong with it is said here
import cv2
import numpy as np
from numpy.typing import NDArray

_Pixel = TypeVar("_Pixel", np.uint8, np.float32)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's RGB channels, on the scale 0 to 1."""


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How a detected face is cut out: a square around the middle of its box, turned so that the eyes are level.

    The landmarks tell the turn alone: scale and place by the eyes and the mouth cost YuNet's crops 2 to 3 points of
    accuracy against those by its box, and CenterFace's up to one (``docs/figures.md``).

    Attributes:
        margin: The crop's side over the longer side of the box, where a detector has no landmarks.
        landmark_margin: The same where it has, for such detectors draw larger boxes.
    """

    margin: float = 1.04
    landmark_margin: float = 0.94

    def __post_init__(self) -> None:
        if not (self.margin > 0 and self.landmark_margin > 0):
            raise ValueError(f"margins are above 0: {self}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CropSpec:
        """The spec of a card; what cards of before said of eyes and mouth is left out."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """How a face crop becomes the network's input; it is stored in the card of every checkpoint.

    Attributes:
        image_size: Side H = W of the network's input, in pixels.
        grey: Whether colour is dropped (FER2013 has none, so a network trained on it must not see any).
        source_size: Side to which a larger crop is reduced first, so that a sharp photograph carries no more detail
            than the training images did; ``None`` to keep all detail.
        mean, std: Of the RGB channels, on the scale 0 to 1.
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
            raise ValueError(f"mean and std have three values, and std is above 0: {self}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PreprocessSpec:
        """The spec that came back from JSON, which turns tuples into lists."""
        converted: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**converted)

    def __call__(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Face crops, uint8 [h, w, 3] RGB or [h, w] grey of any size, to float32 [B, 3, image_size, image_size]."""
        inputs = np.empty((len(crops), 3, self.image_size, self.image_size), np.float32)
        scale, shift = self.scale_and_shift
        for face, crop in zip(inputs, crops, strict=True):
            np.multiply(self._resize(crop), scale, out=face)
            face += shift
        return inputs

    def reduce(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What of a face crop the network will see, in as few bytes as hold it, to be kept until its batch is made.

        Args:
            crop: RGB uint8 [h, w, 3] or grey uint8 [h, w], of any size.

        Returns:
            uint8 [h, w] where colour is dropped, else [h, w, 3]; no larger than :attr:`side`, up to its shape. It makes
            the same input as the crop; without ``source_size`` a large one is rounded to whole grey levels once more.
        """
        if self.grey and crop.ndim == 3:
            crop = to_grey(crop)
        return resize(crop, self.side) if min(crop.shape[:2]) > self.side else crop

    @property
    def side(self) -> int:
        """Pixels of a face that carry detail: more of them are taken from no crop."""
        return self.source_size or self.image_size

    @property
    def scale_and_shift(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What grey levels are multiplied by and what is added then, float32 [3, 1, 1] each."""
        mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (self.mean, self.std))
        return np.asarray(1 / (255 * std), np.float32), np.asarray(-mean / std, np.float32)

    def _resize(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [3, image_size, image_size] on the scale 0 to 255, or [1, ...] where there is no colour."""
        if self.source_size is not None:
            crop = self.reduce(crop)
        elif self.grey and crop.ndim == 3:
            crop = to_grey(crop)
        pixels = resize(crop.astype(np.float32), self.image_size)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3] to grey [H, W]: ITU-R BT.601 luma, the one FER2013 was made with."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)


def resize(pixels: NDArray[_Pixel], side: int) -> NDArray[_Pixel]:
    """An image [h, w] or [h, w, 3] as a square of ``side``: area average to shrink, bilinear to enlarge."""
    if pixels.shape[:2] == (side, side):
        return pixels
    shrinks = min(pixels.shape[:2]) > side
    resized = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, pixels.dtype)
