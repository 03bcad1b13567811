"""The classifiers: one head for each emotion, and one that reads all features together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cmaen.models.parts.attention import EmotionAttention


class EmotionHeads(nn.Module):
    """One logit for each emotion, computed from that emotion's own attended map.

    Args:
        channels: C of the fused map.
        emotions: E.
        dropout: Dropout of the pooled features.
    """

    attention: EmotionAttention
    dropout: nn.Dropout
    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, channels: int, *, emotions: int, dropout: float) -> None:
        super().__init__()
        self.attention = EmotionAttention(channels, emotions=emotions)
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Parameter(torch.randn(emotions, channels) / math.sqrt(channels))
        self.bias = nn.Parameter(torch.zeros(emotions))

    def forward(self, fused: Tensor) -> Tensor:
        """Map [B, C, H, W] to logits [B, E]."""
        pooled = self.attention.pool(fused, self.attention(fused))  # [B, C, H, W] -> [B, E, C]
        return torch.einsum("bec,ec->be", self.dropout(pooled), self.weight) + self.bias


class NormBySource(nn.Module):
    """A LayerNorm for each part of a vector whose parts come from maps of different scale.

    Args:
        sources: Lengths of the parts.
    """

    sources: list[int]
    norms: nn.ModuleList

    def __init__(self, sources: Sequence[int]) -> None:
        super().__init__()
        self.sources = list(sources)
        self.norms = nn.ModuleList(nn.LayerNorm(length) for length in sources)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise [B, F], keeping the shape."""
        parts = torch.split(features, self.sources, dim=1)
        return torch.cat([norm(part) for norm, part in zip(self.norms, parts, strict=True)], dim=1)


class FusionClassifier(nn.Module):
    """A classifier of all pooled features together.

    Args:
        features: F, length of the feature vector; or the lengths of its parts, each of which is normalised separately.
        hidden: Width of the hidden layer.
        emotions: E.
        dropout: Dropout before both linear layers.
    """

    layers: nn.Sequential

    def __init__(self, features: int | Sequence[int], *, hidden: int, emotions: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(features) if isinstance(features, int) else NormBySource(features),
            nn.Dropout(dropout),
            nn.Linear(features if isinstance(features, int) else sum(features), hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, emotions),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map [B, F] to logits [B, E]."""
        logits: Tensor = self.layers(features)
        return logits
