"""E-CNN, the pathway that is trained from scratch: four residual stages of two blocks each (He et al., 2016)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.models.backbones.base import Backbone

ECNN_NAME = "ecnn"
"""Name of this pathway in a spec."""

Stem = Literal["paper", "small"]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a shortcut, which is projected if the shape changes."""

    conv1: nn.Conv2d
    norm1: nn.BatchNorm2d
    conv2: nn.Conv2d
    norm2: nn.BatchNorm2d
    shortcut: nn.Sequential

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, C', H / stride, W / stride]."""
        out = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(out)) + self.shortcut(x), inplace=True)


class ECNN(Backbone):
    """The emotion CNN, E-CNN.

    Args:
        widths: Channels of the four stages.
        stem: ``paper`` (7x7 with stride 2 and a pool with stride 2) or ``small`` (3x3 without a pool).
        stem_stride: Stride of the small stem, 1 or 2.
        dropout: Probability that a channel of the last map is dropped.
    """

    stem: nn.Sequential
    stages: nn.ModuleList
    dropout: nn.Dropout2d
    channels: tuple[int, int, int]

    def __init__(self, *, widths: tuple[int, int, int, int], stem: Stem, stem_stride: int, dropout: float) -> None:
        super().__init__()
        if stem == "paper":
            layers = [nn.Conv2d(3, widths[0], 7, 2, 3, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
            layers.append(nn.MaxPool2d(3, 2, 1))
        else:
            layers = [nn.Conv2d(3, widths[0], 3, stem_stride, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
        self.stem = nn.Sequential(*layers)
        self.stages = nn.ModuleList()
        channels_in = widths[0]
        for index, width in enumerate(widths):
            first = ResidualBlock(channels_in, width, 1 if index == 0 else 2)
            self.stages.append(nn.Sequential(first, ResidualBlock(width, width, 1)))
            channels_in = width
        self.dropout = nn.Dropout2d(dropout)
        self.channels = widths[1:]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map [B, 3, H, W] to x2, x3, x4: [B, channels[i], H / (2s * 2^i), ...], where s is the whole stem's stride."""
        x = self.stages[0](self.stem(x))
        x2 = self.stages[1](x)
        x3 = self.stages[2](x2)
        return x2, x3, self.dropout(self.stages[3](x3))
