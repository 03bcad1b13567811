"""Stage 3: the emotion-specific heads, the fusion classifier and the adaptive ensemble of the two."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cmaen.models.attention import EmotionAttention


class EmotionHeads(nn.Module):
    """One logit for each emotion, each read from that emotion's own attended map.

    Args:
        channels: C of the fused map.
        emotions: E.
        dropout: Of the pooled features.
    """

    def __init__(self, channels: int, *, emotions: int, dropout: float) -> None:
        super().__init__()
        self.attention = EmotionAttention(channels, emotions=emotions)
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Parameter(torch.randn(emotions, channels) / math.sqrt(channels))
        self.bias = nn.Parameter(torch.zeros(emotions))

    def forward(self, fused: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, E]."""
        pooled = self.attention.pool(fused, self.attention(fused))  # [B, C, H, W] -> [B, E, C]
        return torch.einsum("bec,ec->be", self.dropout(pooled), self.weight) + self.bias


class FusionClassifier(nn.Module):
    """Logits from all pooled features together.

    Args:
        features: F, length of the feature vector.
        hidden: Width of the hidden layer.
        emotions: E.
        dropout: Before both linear layers.
    """

    def __init__(self, features: int, *, hidden: int, emotions: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(features),
            nn.Dropout(dropout),
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, emotions),
        )

    def forward(self, features: Tensor) -> Tensor:
        """[B, F] -> logits [B, E]."""
        logits: Tensor = self.layers(features)
        return logits


class AdaptiveEnsemble(nn.Module):
    """Weights of the classifiers that differ from face to face: softmax(MLP(features)).

    Args:
        features: F, length of the feature vector.
        members: M, how many classifiers are weighed.
        hidden: Width of the hidden layer.
    """

    def __init__(self, features: int, *, members: int = 2, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(features), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, members)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[B, F] -> weights [B, M] that sum to 1."""
        return torch.softmax(self.layers(features), dim=1)
