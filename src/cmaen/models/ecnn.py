"""E-CNN, the pathway that is learnt from scratch: four residual stages of two blocks (He et al., 2016)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

Stem = Literal["paper", "small"]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a shortcut, projected where the shape changes.

    In training the convolutions of a face are left out with the probability ``drop`` (Huang et al., 2016).
    """

    def __init__(self, channels_in: int, channels: int, stride: int, drop: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.drop = StochasticDepth(drop, "row")
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H / stride, W / stride]."""
        out = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.drop(self.norm2(self.conv2(out))) + self.shortcut(x), inplace=True)


class ECNN(nn.Module):
    """The emotion CNN.

    Args:
        widths: Channels of the four stages; the paper's are (64, 128, 256, 512).
        stem: ``paper`` (7x7 with stride 2 and a pool with stride 2) or ``small`` (3x3, no pool, for inputs below 112).
        stem_stride: Stride of the small stem, 1 or 2.
        dropout: Probability that a channel of the last map is dropped.
        stochastic_depth: Probability that the last block is left out; it grows evenly from the first block on.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, int, int, int] = (64, 128, 256, 512),
        stem: Stem = "paper",
        stem_stride: int = 2,
        dropout: float = 0.5,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        if stem == "paper":
            layers = [nn.Conv2d(3, widths[0], 7, 2, 3, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
            layers.append(nn.MaxPool2d(3, 2, 1))
        else:
            layers = [nn.Conv2d(3, widths[0], 3, stem_stride, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
        self.stem = nn.Sequential(*layers)
        self.stages = nn.ModuleList()
        channels_in = widths[0]
        drops = [stochastic_depth * block / (2 * len(widths)) for block in range(1, 2 * len(widths) + 1)]
        for index, width in enumerate(widths):
            stride = 1 if index == 0 else 2
            first = ResidualBlock(channels_in, width, stride, drops[2 * index])
            self.stages.append(nn.Sequential(first, ResidualBlock(width, width, 1, drops[2 * index + 1])))
            channels_in = width
        self.dropout = nn.Dropout2d(dropout)
        self.channels = widths

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """[B, 3, H, W] -> x1, x2, x3, x4, each [B, widths[i], H / (s * 2^i), ...] with s the stride of the stem."""
        x = self.stem(x)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        levels[-1] = self.dropout(levels[-1])
        return tuple(levels)
