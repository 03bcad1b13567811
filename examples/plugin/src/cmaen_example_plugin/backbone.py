"""A backbone that is as small as possible: it averages the image and mixes its colours."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.errors import ConfigError
from cmaen.models.backbones import Backbone


class Pooled(Backbone):
    """Means of 8 x 8, 16 x 16 and 32 x 32 pixels, each with a 1 x 1 convolution."""

    channels = (8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.ModuleList(nn.Conv2d(3, channels, 1) for channels in self.channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map [B, 3, H, W] to [B, channels[i], H / (8 * 2^i), W / (8 * 2^i)] for i = 0, 1, 2."""
        low, middle, high = (mix(F.avg_pool2d(x, 8 * 2**level)) for level, mix in enumerate(self.mix))
        return low, middle, high


def build(weights: str | Path | None) -> Backbone:
    """Build the backbone, which has no published weights.

    Raises:
        ConfigError: Weights are given.
    """
    if weights is not None:
        raise ConfigError("the backbone pooled has no published weights; leave them out")
    return Pooled()
