"""Attention over scales and over emotions, and the result of attention between two pathways in either wiring.

Shape legend: B batch, C channels, H W map, D channels of the fused map, E emotions (7), N = H * W tokens, h heads.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def resize_like(x: Tensor, like: Tensor) -> Tensor:
    """Resize [B, C, H, W] to the size of ``like``, [B, C, H', W'], by nearest neighbour."""
    return x if x.shape[-2:] == like.shape[-2:] else F.interpolate(x, size=like.shape[-2:], mode="nearest")


def attend_to_scales(channels: int, scales: tuple[int, ...] | None) -> nn.Module:
    """Build a :class:`MultiScaleAttention`, or an identity without scales."""
    return nn.Identity() if scales is None else MultiScaleAttention(channels, scales=scales)


class MultiScaleAttention(nn.Module):
    """Weights for every place and channel of a map, computed at several scales (section "Multi-scale attention").

    For each scale s: pool by s, squeeze and excite with 1x1 convolutions, sigmoid, upsample, multiply; then the mean.

    Args:
        channels: C.
        scales: Pooling factors; a factor above the map's side pools the whole map.
        reduction: C is squeezed to C / reduction.
    """

    gates: nn.ModuleList

    def __init__(self, channels: int, *, scales: tuple[int, ...] = (1, 2, 4), reduction: int = 16) -> None:
        super().__init__()
        squeezed = max(8, channels // reduction)
        self.scales = scales
        self.gates = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, squeezed, 1), nn.ReLU(), nn.Conv2d(squeezed, channels, 1), nn.Sigmoid())
            for _ in scales
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weight [B, C, H, W], keeping the shape."""
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        """Compute the weight in (0, 1) of every place and channel: [B, C, H, W] -> [B, C, H, W]."""
        height, width = x.shape[-2:]
        total = torch.zeros_like(x)
        for scale, gate in zip(self.scales, self.gates, strict=True):
            factor = min(scale, height, width)
            weight = gate(F.avg_pool2d(x, factor, ceil_mode=True, count_include_pad=False))  # [B, C, H / s, W / s]
            if factor > 1:
                weight = F.interpolate(weight, size=(height, width), mode="nearest")  # -> [B, C, H, W]
            total = total + weight
        return total / len(self.scales)


class EmotionWeights(NamedTuple):
    """Weights in (0, 1) of the channels [B, E, C] and of the places [B, E, H, W], for each emotion."""

    channel: Tensor
    spatial: Tensor


class EmotionAttention(nn.Module):
    """A channel attention, then a 7x7 spatial attention, for each emotion (CBAM, Woo et al., 2018).

    All emotions are computed in one batched operation over [B, E, C, N]. The attended map of an emotion is ``x *
    channel * spatial``; it is not built, because only its pooled vector is used, see :meth:`pool`.

    Args:
        channels: C.
        emotions: E.
        reduction: C is squeezed to C / reduction in the channel attention.
    """

    squeeze: nn.Parameter
    excite: nn.Parameter
    spatial: nn.Conv2d

    def __init__(self, channels: int, *, emotions: int, reduction: int = 8) -> None:
        super().__init__()
        squeezed = max(4, channels // reduction)
        self.squeeze = nn.Parameter(torch.randn(emotions, channels, squeezed) / math.sqrt(channels))
        self.excite = nn.Parameter(torch.randn(emotions, squeezed, channels) / math.sqrt(squeezed))
        self.spatial = nn.Conv2d(2 * emotions, emotions, 7, padding=3, groups=emotions)

    def forward(self, x: Tensor) -> EmotionWeights:
        """Compute the weights [B, E, C] and [B, E, H, W] of [B, C, H, W]."""
        channel = torch.sigmoid(self._channel_logits(x.mean(dim=(2, 3))) + self._channel_logits(x.amax(dim=(2, 3))))
        tokens = x.flatten(2)  # [B, C, H, W] -> [B, C, N]
        mean = channel @ tokens / x.shape[1]  # over the channels of x * channel: [B, E, C] @ [B, C, N] -> [B, E, N]
        highest = (channel[..., None] * tokens[:, None]).amax(dim=2)  # [B, E, C, N] -> [B, E, N]
        summary = torch.stack([mean, highest], dim=2).flatten(1, 2)  # [B, E, N] twice -> [B, E * 2, N]
        summary = summary.reshape(x.shape[0], summary.shape[1], *x.shape[2:])  # -> [B, E * 2, H, W]
        return EmotionWeights(channel, torch.sigmoid(self.spatial(summary)))

    @staticmethod
    def pool(x: Tensor, weights: EmotionWeights) -> Tensor:
        """Compute the mean over all places of ``x * channel * spatial``: [B, C, H, W] -> [B, E, C]."""
        places = weights.spatial.flatten(2)  # [B, E, H, W] -> [B, E, N]
        return weights.channel * (places @ x.flatten(2).transpose(1, 2)) / places.shape[2]  # [B, E, N] @ [B, N, C]

    def _channel_logits(self, pooled: Tensor) -> Tensor:
        """Compute the logits of the channels: [B, C] -> [B, E, C]."""
        hidden = F.relu(torch.einsum("bc,ecs->bes", pooled, self.squeeze))
        return torch.einsum("bes,esc->bec", hidden, self.excite)


class CrossModal(NamedTuple):
    """The result of attention between two pathways.

    Attributes:
        fused: The map [B, D, H, W].
        attention: A [B, h, N, N'], the weight of each of N' keys for each of N queries; ``None`` unless requested.
        back: A [B, h, N', N] of the other direction, if the pathways attend to each other.
    """

    fused: Tensor
    attention: Tensor | None
    back: Tensor | None = None
