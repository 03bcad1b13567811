"""Reducing pictures by area, as OpenCV does in prediction, in a form that trains and exports."""

from __future__ import annotations

import torch
from torch import Tensor


def average_areas(faces: Tensor, size: int) -> Tensor:
    """Reduce faces float32 [B, C, H, W] to [B, C, size, size]: each pixel is the mean of the area that it covers.

    This equals ``cv2.INTER_AREA``, even if a side is not a multiple of the size.
    """
    down, across = (_areas(side, size).to(faces.device) for side in faces.shape[-2:])
    return down @ faces @ across.T  # [size, H] @ [B, C, H, W] @ [W, size]


def _areas(side: int, size: int) -> Tensor:
    """Compute the share of ``side`` pixels in each of ``size`` larger ones, float32 [size, side], rows summing to 1."""
    edges = torch.arange(size + 1, dtype=torch.float64) * side / size
    places = torch.arange(side, dtype=torch.float64)
    covered = torch.minimum(edges[1:, None], places + 1) - torch.maximum(edges[:-1, None], places)
    return (covered.clamp_min(0) * size / side).float()
