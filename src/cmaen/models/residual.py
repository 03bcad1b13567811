"""The residual wiring: the network begins as its trunk, the backbone, and every other part adds to that answer.

Shape legend as in :mod:`cmaen.models.cmaen`; f8, f16 and f32 are the backbone's maps at those strides.

    image ─┬─ backbone ─ f8, f16, f32 ─┬─ f32 pooled ───────────────────────────────── trunk classifier ──┐
           │                           ├─ f16 ─ asks E-CNN ─ fused ─┬──────────────── emotion heads ── gate ┼─ logits
           └─ E-CNN ─ multi-scale ─ e ─┴────────────────────────────┴─ pyramid ─ fusion classifier ── gate ┘

What a part adds is scaled by a gate that starts at 0, so that the whole is never worse than its trunk by construction;
each has a loss of its own to learn from. Without a backbone the E-CNN is the trunk.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.errors import ConfigError
from cmaen.models.attention import CrossModal, ExchangeAttention
from cmaen.models.backbones import Backbone
from cmaen.models.ecnn import ECNN
from cmaen.models.fusion import resized_to
from cmaen.models.heads import AddingEnsemble, EmotionHeads, FusionClassifier
from cmaen.models.network import EmotionNetwork, EmotionOutput, Features

LEAST_KEYS = 4
"""Side of the smallest map that attention can choose places from; with one key it is a sum."""


class Exchange(nn.Module):
    """Fused = relu(norm(proj(trunk) + lambda * attention(trunk, side))).

    Args:
        trunk_channels: Of the map that asks.
        side_channels: Of the map that is asked; ``None`` where that pathway is switched off.
        dim: D, channels of the fused map.
        heads: Of the attention; 0 adds the projected map of the side instead ("without cross-modal attention").
        bidirectional: The side asks the trunk first ("dynamic information exchange between pathways").
    """

    def __init__(
        self, trunk_channels: int, side_channels: int | None, *, dim: int, heads: int, bidirectional: bool
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(trunk_channels, dim, 1, bias=False)
        self.norm = nn.BatchNorm2d(dim)
        attends = side_channels is not None and heads > 0
        self.forth = ExchangeAttention(trunk_channels, side_channels or 0, dim=dim, heads=heads) if attends else None
        self.back: ExchangeAttention | None = None
        if attends and bidirectional:
            assert side_channels is not None
            self.back = ExchangeAttention(side_channels, trunk_channels, dim=side_channels, heads=heads)
        self.side = nn.Conv2d(side_channels, dim, 1, bias=False) if side_channels and not attends else None

    def forward(self, trunk: Tensor, side: Tensor | None, *, return_attention: bool = False) -> CrossModal:
        """Trunk [B, C, H, W] and side [B, C', H', W'] -> fused [B, D, H, W]."""
        total, attention, back = self.proj(trunk), None, None
        if side is not None and self.forth is not None:
            if min(side.shape[-2:]) < LEAST_KEYS:
                raise ConfigError(
                    f"cross-modal attention needs at least {LEAST_KEYS} x {LEAST_KEYS} keys; the E-CNN's last map is "
                    f"{side.shape[-2]} x {side.shape[-1]}; take a larger preprocess.image_size or a smaller stem stride"
                )
            if self.back is not None:
                learnt, back, _ = self.back(side, trunk, return_attention=return_attention)
                side = side + learnt
            answer, attention, _ = self.forth(trunk, side, return_attention=return_attention)
            total = total + answer
        elif side is not None and self.side is not None:
            total = total + resized_to(self.side(side), like=total)
        return CrossModal(F.relu(self.norm(total)), attention, back)


class JoinedPyramid(nn.Module):
    """A top-down pyramid over the trunk's levels (Lin et al., 2017), which the side's levels join, scaled from 0.

    Args:
        trunk_channels, side_channels: Of the levels, from fine to coarse; the side may have none.
        dim: P, channels of every level of the pyramid.
    """

    def __init__(self, trunk_channels: tuple[int, ...], side_channels: tuple[int, ...], *, dim: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, dim, 1) for channels in trunk_channels)
        self.joining = nn.ModuleList(_silent(nn.Conv2d(channels, dim, 1)) for channels in side_channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU())
            for _ in trunk_channels
        )

    def forward(self, trunk: tuple[Tensor, ...], side: tuple[Tensor, ...]) -> list[Tensor]:
        """Levels [B, C_i, H_i, W_i] from fine to coarse -> as many maps [B, P, H_i, W_i] as the trunk has levels."""
        maps: list[Tensor] = []
        for level in reversed(range(len(trunk))):
            x = self.lateral[level](trunk[level])
            if level < len(side):
                x = x + F.adaptive_avg_pool2d(self.joining[level](side[level]), x.shape[-2:])
            maps.append(x + resized_to(maps[-1], like=x) if maps else x)
        return [smooth(x) for x, smooth in zip(maps, reversed(self.smooth), strict=True)]


class ResidualCMAEN(EmotionNetwork):
    """The network in its residual wiring; :func:`cmaen.models.build.build_cmaen` makes the parts to fit each other.

    A part that is ``None`` is switched off; with all of them off what is left is the bare trunk and its classifier.
    """

    def __init__(
        self,
        *,
        ecnn: ECNN | None,
        backbone: Backbone | None,
        ecnn_attention: nn.Module,
        exchange: Exchange | None,
        pyramid: JoinedPyramid | None,
        trunk_classifier: nn.Module,
        emotion_heads: EmotionHeads | None,
        fusion_classifier: FusionClassifier | None,
        ensemble: AddingEnsemble | None,
        perceived_classifier: FusionClassifier | None = None,
    ) -> None:
        super().__init__()
        self.ecnn = ecnn
        self.backbone = backbone
        self.ecnn_attention = ecnn_attention
        self.exchange = exchange
        self.pyramid = pyramid
        self.trunk_classifier = trunk_classifier
        self.emotion_heads = emotion_heads
        self.fusion_classifier = fusion_classifier
        self.ensemble = ensemble
        self.perceived_classifier = perceived_classifier

    def forward_features(self, x: Tensor, *, return_attention: bool = False) -> Features:
        """The trunk, what the E-CNN has to say to it, the pyramid, and everything pooled into one vector."""
        side: tuple[Tensor, ...] = ()
        if self.ecnn is not None:
            side = self.ecnn(x)[1:]  # x2, x3, x4
            side = (*side[:-1], self.ecnn_attention(side[-1]))
        trunk = side if self.backbone is None else self.backbone(x)
        if self.backbone is None:
            side = ()
        maps, fused, attention, back = [trunk[-1]], trunk[-1], None, None
        if self.exchange is not None:
            asking = trunk[-1] if self.backbone is None else trunk[-2]
            asked = side[-1] if side else None
            fused, attention, back = self.exchange(asking, asked, return_attention=return_attention)
            maps.append(fused)
        if self.pyramid is not None:
            maps += self.pyramid(trunk, side)
        vector = torch.cat([x.mean(dim=(2, 3)) for x in maps], dim=1)  # [B, C_i, H_i, W_i] -> [B, F]
        return Features(fused, vector, attention, back)

    def forward_head(self, features: Features) -> EmotionOutput:
        """The trunk's answer, and what the other classifiers add to it."""
        logits = self.trunk_classifier(features.vector)
        emotion_logits = None if self.emotion_heads is None else self.emotion_heads(features.fused)
        fusion_logits = None if self.fusion_classifier is None else self.fusion_classifier(features.vector)
        members = [added for added in (emotion_logits, fusion_logits) if added is not None]
        gate = None
        if self.ensemble is not None:
            gate = self.ensemble(features.vector)  # [B, M, E]
            logits = logits + (gate * torch.stack(members, dim=1)).sum(dim=1)
        return EmotionOutput(logits, emotion_logits, fusion_logits, gate, features.vector, features.attention)


class TrunkClassifier(nn.Module):
    """Logits from the trunk's pooled map alone, which comes first in the feature vector.

    Args:
        features: C, channels of the trunk's last map.
        emotions: E.
        dropout: Of the pooled map.
    """

    def __init__(self, features: int, *, emotions: int, dropout: float) -> None:
        super().__init__()
        self.features = features
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, emotions))

    def forward(self, vector: Tensor) -> Tensor:
        """[B, F] -> logits [B, E]."""
        logits: Tensor = self.layers(vector[:, : self.features])
        return logits


def _silent(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution that adds nothing before it has learnt to."""
    assert conv.bias is not None
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv
