"""CMAEN, the Cross-Modal Attention Emotion Network, in the paper's wiring: from top to bottom, and frozen.

Shape legend: B batch, C channels, H W map, N = H * W tokens, h heads, d channels of a head, D channels of the fused
map, P channels of the pyramid, E emotions (7), F length of the feature vector.

    image ─┬─ side: E-CNN ───── multi-scale attention ─ e ─┐
           │    └ x2, x3, x4 ─┐                            ├─ cross-modal attention ─ fused ─┬─ emotion heads ──┐
           └─ trunk: backbone ─ multi-scale attention ─ f ─┘                                 │                  ├ logits
                              └─ feature pyramid ─ pooled, with fused and f ─────────────────┴ fusion classifier┘
                                                                                              (adaptive ensemble)

With a single pathway, that pathway is the trunk, and its projected map is the fused one.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.models.backbones import Backbone
from cmaen.models.base import EmotionNetwork, EmotionOutput, Features
from cmaen.models.parts.attention import CrossModal, attend_to_scales, resize_like
from cmaen.models.parts.heads import EmotionHeads, FusionClassifier
from cmaen.models.spec import ModelSpec


class CMAEN(EmotionNetwork):
    """The paper's network.

    Args:
        spec: Architecture, with ``wiring: paper``.
        trunk: The backbone, or the E-CNN if it is alone.
        side: The E-CNN beside a backbone.
        classes: E.
        perceived: Number of labels of the second scheme, which gets a classifier of its own; 0 for a single scheme.
    """

    def __init__(
        self, spec: ModelSpec, *, trunk: Backbone, side: Backbone | None, classes: int, perceived: int
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.side = side
        self.side_size = spec.side_size
        asking = side or trunk
        dim, width = spec.fused_channels, spec.pyramid_channels
        self.fusion: CrossModalFusion | AdditiveFusion
        if side is not None and spec.attention != "none":
            both_ways = spec.attention == "both_ways"
            channels = side.channels[-1], trunk.channels[-1]
            self.fusion = CrossModalFusion(*channels, dim=dim, heads=spec.attention_heads, both_ways=both_ways)
        else:
            side_channels = None if side is None else side.channels[-1]
            self.fusion = AdditiveFusion(trunk.channels[-1], side_channels, dim=dim)
        self.pyramid = None if width is None else FeaturePyramid(asking.channels, dim, width=width)
        f_channels = trunk.channels[-1] if "trunk" in self.pretrained else 0
        features = dim + f_channels + (0 if width is None else 4 * width)
        self.side_attention = nn.Identity() if side is None else attend_to_scales(side.channels[-1], spec.scales)
        self.trunk_attention = attend_to_scales(trunk.channels[-1], spec.scales)
        self.emotion_heads = EmotionHeads(dim, emotions=classes, dropout=spec.dropout) if spec.emotion_heads else None
        self.fusion_classifier = FusionClassifier(features, hidden=spec.hidden, emotions=classes, dropout=spec.dropout)
        self.ensemble = AdaptiveEnsemble(features) if spec.emotion_heads and spec.adaptive_ensemble else None
        self.perceived_classifier = (
            FusionClassifier(features, hidden=spec.hidden, emotions=perceived, dropout=spec.dropout)
            if perceived
            else None
        )

    def forward_features(self, x: Tensor, *, return_attention: bool = False) -> Features:
        """Run stages 1 and 2: both pathways, their fusion and the pyramid, all pooled into one vector."""
        levels = self.trunk(x)
        f = self.trunk_attention(levels[-1])
        e = None
        if self.side is not None:
            levels = self.run_side(x)  # x2, x3, x4
            e = self.side_attention(levels[-1])
        fused, attention, back = self.fusion(e, f, return_attention=return_attention)
        maps = [fused, f] if "trunk" in self.pretrained else [fused]
        if self.pyramid is not None:
            maps += self.pyramid(levels, fused)
        vector = torch.cat([x.mean(dim=(2, 3)) for x in maps], dim=1)  # [B, C_i, H_i, W_i] -> [B, F]
        return Features(fused, vector, attention, back)

    def forward_head(self, features: Features) -> EmotionOutput:
        """Run stage 3: the two classifiers and their ensemble."""
        fusion_logits = self.fusion_classifier(features.vector)
        if self.emotion_heads is None:
            return EmotionOutput(fusion_logits, None, fusion_logits, features.vector)
        emotion_logits = self.emotion_heads(features.fused)
        even = torch.full_like(fusion_logits[:, :2], 0.5)
        weights = even if self.ensemble is None else self.ensemble(features.vector)  # [B, 2]
        logits = weights[:, :1] * emotion_logits + weights[:, 1:] * fusion_logits
        return EmotionOutput(logits, emotion_logits, fusion_logits, features.vector)

    def fold_norms(self) -> None:
        """See :class:`~cmaen.models.base.EmotionNetwork`."""
        self.fusion.fold_norm()


class CrossModalAttention(nn.Module):
    """Attention of every place of one pathway to every place of the other (section "Cross-modal attention").

    Q = Conv1x1(query), K, V = Conv1x1(context), A = softmax(Q K^T / sqrt(d)), out = gamma * (A V) + proj(query).
    gamma starts at 0, so that the two pathways are separate when training begins.

    Args:
        query_channels: Channels of the map that queries.
        context_channels: Channels of the map that is queried.
        dim: D, channels of the result, a multiple of ``heads``.
        heads: h.
    """

    def __init__(self, query_channels: int, context_channels: int, *, dim: int, heads: int) -> None:
        super().__init__()
        assert dim % heads == 0, "ModelSpec guarantees it"
        self.heads = heads
        self.query = nn.Conv2d(query_channels, dim, 1)
        self.key = nn.Conv2d(context_channels, dim, 1)
        self.value = nn.Conv2d(context_channels, dim, 1)
        self.proj = nn.Conv2d(query_channels, dim, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, query: Tensor, context: Tensor, *, return_attention: bool = False) -> CrossModal:
        """Fuse query [B, C, H, W] and context [B, C', H', W'] into [B, D, H, W]; the maps' sizes may differ."""
        q, k, v = (self._split(part) for part in (self.query(query), self.key(context), self.value(context)))
        attention = None
        if return_attention:
            attention = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), dim=-1)  # [B, h, N, N']
            out = attention @ v
        else:
            out = F.scaled_dot_product_attention(q, k, v)  # [B, h, N, d], scaled by 1 / sqrt(d)
        batch, _, height, width = query.shape
        out = out.transpose(2, 3).reshape(batch, -1, height, width)  # [B, h, N, d] -> [B, h * d, H, W]
        return CrossModal(self.gamma * out + self.proj(query), attention)

    def _split(self, x: Tensor) -> Tensor:
        """Split [B, h * d, H, W] into [B, h, N, d]."""
        return x.reshape(x.shape[0], self.heads, x.shape[1] // self.heads, x.shape[2] * x.shape[3]).transpose(2, 3)


class CrossModalFusion(nn.Module):
    """Cross-modal attention from the E-CNN to the backbone and, optionally, back.

    Args:
        e_channels, f_channels: Channels of the last maps of E-CNN and backbone.
        dim: D, channels of the fused map.
        heads: Number of attention heads.
        both_ways: Whether the backbone attends to the E-CNN too ("dynamic information exchange between pathways").
    """

    def __init__(self, e_channels: int, f_channels: int, *, dim: int, heads: int, both_ways: bool) -> None:
        super().__init__()
        self.forth = CrossModalAttention(e_channels, f_channels, dim=dim, heads=heads)
        self.back = CrossModalAttention(f_channels, e_channels, dim=dim, heads=heads) if both_ways else None
        self.norm: nn.Module = nn.BatchNorm2d(dim)

    def forward(self, e: Tensor, f: Tensor, *, return_attention: bool = False) -> CrossModal:
        """Fuse E [B, C, H, W] and f [B, C', H', W'] into [B, D, H, W]."""
        fused, attention, back = self.forth(e, f, return_attention=return_attention)
        if self.back is not None:
            other, back, _ = self.back(f, e, return_attention=return_attention)
            fused = fused + resize_like(other, like=fused)
        return CrossModal(F.relu(self.norm(fused)), attention, back)

    @torch.no_grad()
    def fold_norm(self) -> None:
        """Fold the norm and gamma into the preceding convolutions: same outputs with less work, for inference only."""
        factor, shift = _read_affine(self.norm)
        none = torch.zeros_like(shift)
        for attention, constant in ((self.forth, shift), (self.back, none)):
            if attention is not None:
                _absorb(attention.value, factor * attention.gamma, none)
                _absorb(attention.proj, factor, constant)
                attention.gamma.fill_(1)
        self.norm = nn.Identity()


class AdditiveFusion(nn.Module):
    """The fusion without cross-modal attention: the sum of the projected maps of the pathways.

    Args:
        trunk_channels, side_channels: Channels of the last maps; ``None`` without a side.
        dim: D, channels of the fused map.
    """

    def __init__(self, trunk_channels: int, side_channels: int | None, *, dim: int) -> None:
        super().__init__()
        self.side_proj = None if side_channels is None else nn.Conv2d(side_channels, dim, 1)
        self.trunk_proj = nn.Conv2d(trunk_channels, dim, 1)
        self.norm: nn.Module = nn.BatchNorm2d(dim)

    def forward(self, side: Tensor | None, trunk: Tensor, *, return_attention: bool = False) -> CrossModal:
        """Fuse [B, C, H, W] and [B, C', H', W'] into [B, D, H, W] of the side's size, or the trunk's without a side."""
        fused = self.trunk_proj(trunk)
        if side is not None and self.side_proj is not None:
            projected = self.side_proj(side)
            fused = projected + resize_like(fused, like=projected)
        return CrossModal(F.relu(self.norm(fused)), None)

    @torch.no_grad()
    def fold_norm(self) -> None:
        """Fold the norm into the preceding projections: same outputs with less work, for inference only."""
        factor, shift = _read_affine(self.norm)
        projections = [part for part in (self.side_proj, self.trunk_proj) if part is not None]
        for projection, constant in zip(projections, (shift, torch.zeros_like(shift)), strict=False):
            _absorb(projection, factor, constant)
        self.norm = nn.Identity()


class FeaturePyramid(nn.Module):
    """A top-down pyramid over three levels and the fused map (Lin et al., 2017).

    Args:
        level_channels: Channels of the three levels, from fine to coarse.
        fused_channels: Channels of the fused map, the top.
        width: P, channels of every level of the pyramid.
    """

    def __init__(self, level_channels: tuple[int, ...], fused_channels: int, *, width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in (*level_channels, fused_channels))
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
            for _ in self.lateral
        )

    def forward(self, levels: tuple[Tensor, ...], fused: Tensor) -> list[Tensor]:
        """Map levels [B, C_i, H_i, W_i] from fine to coarse, and fused [B, D, H, W], to maps [B, P, H_i, W_i]."""
        maps: list[Tensor] = []
        for x, lateral in zip((fused, *reversed(levels)), reversed(self.lateral), strict=True):
            top = lateral(x)
            maps.append(top + resize_like(maps[-1], like=top) if maps else top)
        return [smooth(x) for x, smooth in zip(maps, reversed(self.smooth), strict=True)]


class AdaptiveEnsemble(nn.Module):
    """The weights of the classifiers, which differ from face to face: softmax(MLP(features)).

    Args:
        features: F, length of the feature vector.
        members: M, number of classifiers.
        hidden: Width of the hidden layer.
    """

    def __init__(self, features: int, *, members: int = 2, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(features), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, members)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map [B, F] to weights [B, M] that sum to 1."""
        return torch.softmax(self.layers(features), dim=1)


def _read_affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Compute the factor and the shift [C] of a batch norm that is no longer trained."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return factor, norm.bias - norm.running_mean * factor


def _absorb(conv: nn.Conv2d, factor: Tensor, shift: Tensor) -> None:
    """Fold a factor and a shift into the convolution before them."""
    assert conv.bias is not None
    conv.weight *= factor[:, None, None, None]
    conv.bias.copy_(conv.bias * factor + shift)
