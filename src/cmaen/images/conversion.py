"""Advice for errors on how to convert arrays and tensors to images, and the range of deep pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DEPTHS = (10, 12, 14, 16)


def range_of(highest: float) -> float:
    """Return the largest possible pixel value, given the highest one present."""
    return next((float(2**depth - 1) for depth in _DEPTHS if highest <= 2**depth - 1), highest)


def advise_type(array: NDArray[np.generic]) -> str:
    """Advise how to convert an array of another type to uint8, if its values tell; otherwise return an empty string."""
    if array.dtype == np.bool_:
        return "; convert it: image.astype(np.uint8) * 255"
    if array.dtype.kind not in "fiu" or not array.size:
        return ""
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return " (0 to 1); convert it: (image * 255).round().astype(np.uint8)"
    if low >= 0 and high <= 255:
        return "; convert it: image.round().astype(np.uint8)"
    if array.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return f" ({low:g} to {high:g}); convert it: (image / {range_of(high) / 255:g}).astype(np.uint8)"
    return f" ({low:g} to {high:g}); undo its normalisation and convert it to uint8"


def advise_shape(array: NDArray[np.generic]) -> str:
    """Advise how to convert an array of another shape to an image, if its shape tells; otherwise return ""."""
    if array.ndim == 1:
        return "; pass the content of a file as bytes: image.tobytes()"
    if array.ndim == 3 and array.shape[2] == 1:
        return "; use image[:, :, 0]"
    if array.ndim == 3 and array.shape[0] == 1:
        return "; use image[0]"
    if array.ndim == 3 and array.shape[0] in (3, 4):
        return "; put the channels last: image.transpose(1, 2, 0)"
    return "; pass several images as a list" if array.ndim == 4 else ""


def advise_kind(source: Any) -> str:
    """Advise how to convert another object to an image, if its kind tells: a tensor, a list, or what NumPy can read."""
    if isinstance(source, list | tuple | set):
        return "; pass several images to predict_batch, and the pixels of one as a NumPy array"
    if type(source).__module__.partition(".")[0] != "torch" or not hasattr(source, "permute"):
        return "; convert it: numpy.asarray(image)" if hasattr(source, "__array__") else ""
    shape = list(source.shape)
    if len(shape) == 4:
        return f" {shape}; pass its images one by one, each as a NumPy array of uint8, [H, W, 3]"
    steps = ["image.detach().cpu()"]
    if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] not in (3, 4):
        steps.append("[0]" if shape[0] == 1 else ".permute(1, 2, 0)")  # [C, H, W] -> [H, W, C]
    if source.is_floating_point():
        low, high = float(source.detach().min()), float(source.detach().max())
        if low < 0 or high > 255:
            return f" {shape} ({low:g} to {high:g}); undo its normalisation and convert it to uint8 [H, W, 3]"
        steps.append(".mul(255).round()" if high <= 1 else ".round()")
    return f" {shape}; convert it: {''.join(steps)}.byte().numpy()"
