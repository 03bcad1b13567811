"""The three attentions of CMAEN: over scales, over emotions, and across the two pathways.

Shape legend: B batch, C channels, H W map, E emotions (7), N = H * W tokens, h heads, d channels of a head.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiScaleAttention(nn.Module):
    """Weighs every place and channel of a map by what is seen at several scales (section "Multi-scale attention").

    For each scale s: pool by s, squeeze and excite with 1x1 convolutions, sigmoid, upsample, multiply; then the mean.

    Args:
        channels: C.
        scales: Pooling factors; a factor above the map's side pools the whole map.
        reduction: C is squeezed to C / reduction.
    """

    def __init__(self, channels: int, *, scales: tuple[int, ...] = (1, 2, 4), reduction: int = 16) -> None:
        super().__init__()
        squeezed = max(8, channels // reduction)
        self.scales = scales
        self.gates = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, squeezed, 1), nn.ReLU(), nn.Conv2d(squeezed, channels, 1), nn.Sigmoid())
            for _ in scales
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        """In (0, 1), of every place and channel: [B, C, H, W] -> [B, C, H, W]."""
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
    """For each emotion, weights in (0, 1) of the channels [B, E, C] and of the places [B, E, H, W]."""

    channel: Tensor
    spatial: Tensor


class EmotionAttention(nn.Module):
    """For each emotion a channel attention, then a 7x7 spatial attention (CBAM, Woo et al., 2018).

    All emotions are computed in one batched operation over [B, E, C, N]. The map attended by an emotion is
    ``x * channel * spatial``; it is not built, since all that is read of it is its pooled vector, see :meth:`pool`.

    Args:
        channels: C.
        emotions: E.
        reduction: C is squeezed to C / reduction in the channel attention.
    """

    def __init__(self, channels: int, *, emotions: int, reduction: int = 8) -> None:
        super().__init__()
        squeezed = max(4, channels // reduction)
        self.squeeze = nn.Parameter(torch.randn(emotions, channels, squeezed) / math.sqrt(channels))
        self.excite = nn.Parameter(torch.randn(emotions, squeezed, channels) / math.sqrt(squeezed))
        self.spatial = nn.Conv2d(2 * emotions, emotions, 7, padding=3, groups=emotions)

    def forward(self, x: Tensor) -> EmotionWeights:
        """[B, C, H, W] -> weights [B, E, C] and [B, E, H, W]."""
        channel = torch.sigmoid(self._channel_logits(x.mean(dim=(2, 3))) + self._channel_logits(x.amax(dim=(2, 3))))
        tokens = x.flatten(2)  # [B, C, H, W] -> [B, C, N]
        mean = channel @ tokens / x.shape[1]  # over the channels of x * channel: [B, E, C] @ [B, C, N] -> [B, E, N]
        highest = (channel[..., None] * tokens[:, None]).amax(dim=2)  # [B, E, C, N] -> [B, E, N]
        summary = torch.stack([mean, highest], dim=2).flatten(1, 2)  # [B, E, N] twice -> [B, E * 2, N]
        summary = summary.reshape(x.shape[0], summary.shape[1], *x.shape[2:])  # -> [B, E * 2, H, W]
        return EmotionWeights(channel, torch.sigmoid(self.spatial(summary)))

    @staticmethod
    def pool(x: Tensor, weights: EmotionWeights) -> Tensor:
        """The mean over all places of ``x * channel * spatial``: [B, C, H, W] -> [B, E, C]."""
        places = weights.spatial.flatten(2)  # [B, E, H, W] -> [B, E, N]
        return weights.channel * (places @ x.flatten(2).transpose(1, 2)) / places.shape[2]  # [B, E, N] @ [B, N, C]

    def _channel_logits(self, pooled: Tensor) -> Tensor:
        """[B, C] -> [B, E, C]."""
        hidden = F.relu(torch.einsum("bc,ecs->bes", pooled, self.squeeze))
        return torch.einsum("bes,esc->bec", hidden, self.excite)


class CrossModal(NamedTuple):
    """What :class:`CrossModalAttention` gives: the map [B, D, H, W] and, if asked for, A [B, h, N, N'].

    Where the pathways ask each other, ``back`` is the A [B, h, N', N] of the other way.
    """

    fused: Tensor
    attention: Tensor | None
    back: Tensor | None = None


class CrossModalAttention(nn.Module):
    """Every place of one pathway looks at every place of the other (section "Cross-modal attention").

    Q = Conv1x1(query), K, V = Conv1x1(context), A = softmax(Q K^T / sqrt(d)), out = gamma * (A V) + proj(query).
    gamma starts at 0, so that training begins with the two pathways apart.

    Args:
        query_channels: Channels of the map that asks.
        context_channels: Channels of the map that answers.
        dim: D, channels of the result, a multiple of ``heads``.
        heads: h.
    """

    def __init__(self, query_channels: int, context_channels: int, *, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"attention dim {dim} is not a multiple of its {heads} heads")
        self.heads = heads
        self.query = nn.Conv2d(query_channels, dim, 1)
        self.key = nn.Conv2d(context_channels, dim, 1)
        self.value = nn.Conv2d(context_channels, dim, 1)
        self.proj = nn.Conv2d(query_channels, dim, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, query: Tensor, context: Tensor, *, return_attention: bool = False) -> CrossModal:
        """Query [B, C, H, W] and context [B, C', H', W'] -> fused [B, D, H, W]; the maps' sizes may differ."""
        q, k, v = (self._tokens(part) for part in (self.query(query), self.key(context), self.value(context)))
        attention = None
        if return_attention:
            attention = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), dim=-1)  # [B, h, N, N']
            out = attention @ v
        else:
            out = F.scaled_dot_product_attention(q, k, v)  # [B, h, N, d], with the 1 / sqrt(d)
        batch, _, height, width = query.shape
        out = out.transpose(2, 3).reshape(batch, -1, height, width)  # [B, h, N, d] -> [B, h * d, H, W]
        return CrossModal(self.gamma * out + self.proj(query), attention)

    def _tokens(self, x: Tensor) -> Tensor:
        """[B, h * d, H, W] -> [B, h, N, d]."""
        return x.reshape(x.shape[0], self.heads, x.shape[1] // self.heads, x.shape[2] * x.shape[3]).transpose(2, 3)


class ExchangeAttention(nn.Module):
    """Cross-modal attention of the residual wiring: what a place of one pathway learns from the other, to be added.

    Both maps are normalised, places are told by fixed sines, queries and keys have length 1 and each head a temperature
    (Henry et al., 2020), and the answer is scaled by lambda, which starts small (LayerScale, Touvron et al., 2021).

    Args:
        query_channels: Channels of the map that asks.
        context_channels: Channels of the map that answers.
        dim: D, channels of the result, a multiple of ``heads`` and of 4.
        heads: h.
    """

    def __init__(self, query_channels: int, context_channels: int, *, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads or dim % 4:
            raise ValueError(f"attention dim {dim} is not a multiple of its {heads} heads and of 4")
        self.heads = heads
        self.query_norm = nn.LayerNorm(query_channels)
        self.context_norm = nn.LayerNorm(context_channels)
        self.query = nn.Linear(query_channels, dim)
        self.key = nn.Linear(context_channels, dim)
        self.value = nn.Linear(context_channels, dim)
        self.proj = nn.Linear(dim, dim)
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        self.scale = nn.Parameter(torch.full((dim,), 0.1))

    def forward(self, query: Tensor, context: Tensor, *, return_attention: bool = False) -> CrossModal:
        """Query [B, C, H, W] and context [B, C', H', W'] -> [B, D, H, W]; the maps' sizes may differ."""
        batch, _, height, width = query.shape
        asking = self.query_norm(query.flatten(2).transpose(1, 2))  # [B, C, H, W] -> [B, N, C]
        answering = self.context_norm(context.flatten(2).transpose(1, 2))  # [B, C', H', W'] -> [B, N', C']
        q = F.normalize(self._split(self.query(asking) + places(query, self.query.out_features)), dim=-1)
        k = F.normalize(self._split(self.key(answering) + places(context, self.key.out_features)), dim=-1)
        v = self._split(self.value(answering))  # [B, h, N', d]
        q = q * self.temperature.exp()
        attention = None
        if return_attention:
            attention = torch.softmax(q @ k.transpose(-2, -1), dim=-1)  # [B, h, N, N']
            out = attention @ v
        else:
            out = F.scaled_dot_product_attention(q, k, v, scale=1.0)  # [B, h, N, d]
        out = self.scale * self.proj(out.transpose(1, 2).flatten(2))  # [B, h, N, d] -> [B, N, D]
        return CrossModal(out.transpose(1, 2).reshape(batch, -1, height, width), attention)

    def _split(self, x: Tensor) -> Tensor:
        """[B, N, h * d] -> [B, h, N, d]."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, x.shape[2] // self.heads).transpose(1, 2)


def places(x: Tensor, dim: int) -> Tensor:
    """Sines and cosines of where each place of a map is, [1, H * W, dim]; the same for the same part of the face."""
    height, width = x.shape[-2:]
    rates = math.pi * 2.0 ** torch.arange(dim // 4, device=x.device).mul(4 / max(dim // 4, 1))  # half a turn to eight
    rows = (torch.arange(height, device=x.device) + 0.5) / height
    columns = (torch.arange(width, device=x.device) + 0.5) / width
    vertical, horizontal = rows[:, None] * rates, columns[:, None] * rates  # [H, dim / 4], [W, dim / 4]
    parts = [
        f(angles).expand(height, width, -1)
        for angles in (vertical[:, None], horizontal[None])
        for f in (torch.sin, torch.cos)
    ]
    return torch.cat(parts, dim=-1).reshape(1, height * width, dim).to(x.dtype)
