"""The product: a network that starts as its trunk, to whose output every other part adds.

Shape legend: B batch, C channels, H W map, N = H * W tokens, h heads, d channels of a head, D channels of the fused
map, P channels of the pyramid, E emotions (7), M classifiers beside the trunk's, F length of the feature vector. f8,
f16 and f32 are a trunk's maps at those strides, e the side's last one.

    image ─┬─ trunk ─ f8, f16, f32 ─┬─ f32 pooled ───────────────────────────────── trunk classifier ──┐
           │                        ├─ f16 ─ asks the side ─ fused ─┬─────────── emotion heads ── gate ┼─ logits
           └─ side ───────────── e ─┴───────────────────────────────┴─ pyramid ─ fusion classifier ── gate ┘

What a part adds is scaled by a gate that starts at 0, so that by construction the initial network is its trunk;
each part has a loss of its own. The E-CNN's last map goes through multi-scale attention, whichever its role.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.errors import ConfigError
from cmaen.models.backbones import Backbone
from cmaen.models.base import EmotionNetwork, EmotionOutput, Features
from cmaen.models.parts.attention import CrossModal, attend_to_scales, resize_like
from cmaen.models.parts.ecnn import ECNN
from cmaen.models.parts.heads import EmotionHeads, FusionClassifier
from cmaen.models.spec import ModelSpec, find_misfits

LEAST_KEYS = 4
"""Minimum side of a map for attention to choose places from; with one key, attention is a sum."""


class JoinedNetwork(EmotionNetwork):
    """The network in its residual wiring. Parts whose output is not used are not built.

    Args:
        spec: Architecture, with ``wiring: residual``.
        trunk: The first pathway.
        side: The second pathway, if there is one.
        classes: E.
        perceived: Number of labels of the second scheme, which gets a classifier of its own; 0 for a single scheme.

    Raises:
        ConfigError: The side cannot attend to the trunk with this number of heads.
    """

    pyramid: JoinedPyramid | None
    emotion_heads: EmotionHeads | None
    fusion_classifier: FusionClassifier | None
    trunk_attention: nn.Module
    trunk_classifier: TrunkClassifier
    perceived_classifier: FusionClassifier | None

    def __init__(
        self, spec: ModelSpec, *, trunk: Backbone, side: Backbone | None, classes: int, perceived: int
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.side = side
        self.side_size = spec.side_size
        dim, width = spec.fused_channels, spec.pyramid_channels
        self.asking = -1 if isinstance(trunk, ECNN) else -2
        self.exchange: Exchange | None = None
        if spec.emotion_heads or side is not None:
            self.exchange = Exchange(
                trunk.channels[self.asking],
                None if side is None else side.channels[-1],
                dim=dim,
                heads=0 if spec.attention == "none" else spec.attention_heads,
                both_ways=spec.attention == "both_ways",
            )
        side_channels = () if side is None else side.channels
        self.pyramid = None if width is None else JoinedPyramid(trunk.channels, side_channels, dim=width)
        sources = [
            trunk.channels[-1],
            *([] if self.exchange is None else [dim]),
            *([] if width is None else [width] * len(trunk.channels)),
        ]
        self.emotion_heads = EmotionHeads(dim, emotions=classes, dropout=spec.dropout) if spec.emotion_heads else None

        def classify(labels: int) -> FusionClassifier:
            return FusionClassifier(sources, hidden=spec.hidden, emotions=labels, dropout=spec.dropout)

        self.fusion_classifier = None if side is None and width is None else classify(classes)
        members = sum(part is not None for part in (self.emotion_heads, self.fusion_classifier))
        self.trunk_attention = attend_to_scales(trunk.channels[-1], spec.scales if isinstance(trunk, ECNN) else None)
        self.side_attention: nn.Module = nn.Identity()
        if isinstance(side, ECNN):
            self.side_attention = attend_to_scales(side.channels[-1], spec.scales)
        self.trunk_classifier = TrunkClassifier(trunk.channels[-1], emotions=classes, dropout=spec.dropout)
        self.ensemble: AddingEnsemble | None = None
        if members:
            features, adaptive = sum(sources), spec.adaptive_ensemble
            self.ensemble = AddingEnsemble(features, members=members, adaptive=adaptive, emotions=classes)
        self.perceived_classifier = classify(perceived) if perceived else None

    def forward_features(self, x: Tensor, *, return_attention: bool = False) -> Features:
        """Run the trunk, its attention to the side, and the pyramid, and pool everything into one vector."""
        *finer, last = self.trunk(x)
        trunk = (*finer, self.trunk_attention(last))
        side: tuple[Tensor, ...] = ()
        if self.side is not None:
            *finer, last = self.run_side(x)
            side = (*finer, self.side_attention(last))
        maps, fused, attention, back = [trunk[-1]], trunk[-1], None, None
        if self.exchange is not None:
            asked = side[-1] if side else None
            fused, attention, back = self.exchange(trunk[self.asking], asked, return_attention=return_attention)
            maps.append(fused)
        if self.pyramid is not None:
            maps += self.pyramid(trunk, side)
        vector = torch.cat([x.mean(dim=(2, 3)) for x in maps], dim=1)  # [B, C_i, H_i, W_i] -> [B, F]
        return Features(fused, vector, attention, back)

    def forward_head(self, features: Features) -> EmotionOutput:
        """Run the trunk's classifier, and add the gated outputs of the other classifiers."""
        logits = self.trunk_classifier(features.vector)
        emotion_logits = None if self.emotion_heads is None else self.emotion_heads(features.fused)
        fusion_logits = None if self.fusion_classifier is None else self.fusion_classifier(features.vector)
        members = [added for added in (emotion_logits, fusion_logits) if added is not None]
        if self.ensemble is not None:
            gates = self.ensemble(features.vector)  # [B, M, E]
            logits = logits + (gates * torch.stack(members, dim=1)).sum(dim=1)
        return EmotionOutput(logits, emotion_logits, fusion_logits, features.vector)


class Exchange(nn.Module):
    """The fusion of the pathways: relu(norm(proj(trunk) + lambda * attention(trunk, side))).

    Args:
        trunk_channels: Channels of the map that queries.
        side_channels: Channels of the map that is queried; ``None`` without a side.
        dim: D, channels of the fused map.
        heads: Number of attention heads; 0 adds the projected map of the side instead.
        both_ways: Whether the side first attends to the trunk ("dynamic information exchange between pathways").
    """

    proj: nn.Conv2d
    norm: nn.BatchNorm2d

    def __init__(
        self, trunk_channels: int, side_channels: int | None, *, dim: int, heads: int, both_ways: bool
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(trunk_channels, dim, 1, bias=False)
        self.norm = nn.BatchNorm2d(dim)
        self.forth: ExchangeAttention | None = None
        self.back: ExchangeAttention | None = None
        self.side: nn.Conv2d | None = None
        if side_channels is None:
            return
        if not heads:
            self.side = nn.Conv2d(side_channels, dim, 1, bias=False)
            return
        self.forth = ExchangeAttention(trunk_channels, side_channels, dim=dim, heads=heads)
        if both_ways:
            if misfits := list(find_misfits(side_channels, heads, "the number of channels of the side's last map")):
                raise ConfigError(misfits[0])
            self.back = ExchangeAttention(side_channels, trunk_channels, dim=side_channels, heads=heads)

    def forward(self, trunk: Tensor, side: Tensor | None, *, return_attention: bool = False) -> CrossModal:
        """Fuse trunk [B, C, H, W] and side [B, C', H', W'] into [B, D, H, W]."""
        total, attention, back = self.proj(trunk), None, None
        if side is not None and self.forth is not None:
            if min(side.shape[-2:]) < LEAST_KEYS:
                raise ConfigError(
                    f"attention between the pathways needs at least {LEAST_KEYS} x {LEAST_KEYS} keys; the side's last "
                    f"map is {side.shape[-2]} x {side.shape[-1]}; use a larger preprocess.image_size, a smaller "
                    "stride of the E-CNN's stem, or attention none"
                )
            if self.back is not None:
                learnt, back, _ = self.back(side, trunk, return_attention=return_attention)
                side = side + learnt
            answer, attention, _ = self.forth(trunk, side, return_attention=return_attention)
            total = total + answer
        elif side is not None and self.side is not None:
            total = total + resize_like(self.side(side), like=total)
        return CrossModal(F.relu(self.norm(total)), attention, back)


class ExchangeAttention(nn.Module):
    """The residual that each place of one pathway learns from the other.

    Both maps are normalised, positions are encoded by fixed sines, queries and keys have length 1 and each head has a
    temperature (Henry et al., 2020), and the result is scaled by lambda, which starts small (LayerScale, Touvron et
    al., 2021).

    Args:
        query_channels: Channels of the map that queries.
        context_channels: Channels of the map that is queried.
        dim: D, channels of the result, a multiple of ``heads`` and of 4.
        heads: h.
    """

    query_norm: nn.LayerNorm
    context_norm: nn.LayerNorm
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    proj: nn.Linear
    temperature: nn.Parameter
    scale: nn.Parameter

    def __init__(self, query_channels: int, context_channels: int, *, dim: int, heads: int) -> None:
        super().__init__()
        assert dim % heads == 0, "ModelSpec guarantees it"
        assert dim % 4 == 0, "ModelSpec guarantees it"
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
        """Map query [B, C, H, W] and context [B, C', H', W'] to [B, D, H, W]; the maps' sizes may differ."""
        batch, _, height, width = query.shape
        asking = self.query_norm(query.flatten(2).transpose(1, 2))  # [B, C, H, W] -> [B, N, C]
        answering = self.context_norm(context.flatten(2).transpose(1, 2))  # [B, C', H', W'] -> [B, N', C']
        q = F.normalize(self._split(self.query(asking) + encode_places(query, self.query.out_features)), dim=-1)
        k = F.normalize(self._split(self.key(answering) + encode_places(context, self.key.out_features)), dim=-1)
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
        """Split [B, N, h * d] into [B, h, N, d]."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, x.shape[2] // self.heads).transpose(1, 2)


class JoinedPyramid(nn.Module):
    """A top-down pyramid over the trunk's levels (Lin et al., 2017), joined by the side's levels with gates from 0.

    Args:
        trunk_channels, side_channels: Channels of the levels, from fine to coarse; the side may have none.
        dim: P, channels of every level of the pyramid.
    """

    lateral: nn.ModuleList
    joining: nn.ModuleList
    smooth: nn.ModuleList

    def __init__(self, trunk_channels: tuple[int, ...], side_channels: tuple[int, ...], *, dim: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, dim, 1) for channels in trunk_channels)
        self.joining = nn.ModuleList(_silence(nn.Conv2d(channels, dim, 1)) for channels in side_channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU())
            for _ in trunk_channels
        )

    def forward(self, trunk: tuple[Tensor, ...], side: tuple[Tensor, ...]) -> list[Tensor]:
        """Map levels [B, C_i, H_i, W_i] from fine to coarse to maps [B, P, H_i, W_i], one for each of the trunk's."""
        maps: list[Tensor] = []
        for level in reversed(range(len(trunk))):
            x = self.lateral[level](trunk[level])
            if level < len(side):
                x = x + F.adaptive_avg_pool2d(self.joining[level](side[level]), x.shape[-2:])
            maps.append(x + resize_like(maps[-1], like=x) if maps else x)
        return [smooth(x) for x, smooth in zip(maps, reversed(self.smooth), strict=True)]


class AddingEnsemble(nn.Module):
    """The gates of the further classifiers, which start at 0 and scale what each adds to the trunk's output.

    Args:
        features: F, length of the feature vector.
        members: M, number of classifiers that may add.
        adaptive: Whether the gates differ from face to face, by an MLP; otherwise each is one number per emotion.
        emotions: E.
        hidden: Width of the MLP's hidden layer.
    """

    fixed: nn.Parameter

    def __init__(self, features: int, *, members: int, adaptive: bool, emotions: int, hidden: int = 64) -> None:
        super().__init__()
        self.fixed = nn.Parameter(torch.zeros(members, emotions))
        self.layers: nn.Sequential | None = None
        if adaptive:
            last = nn.Linear(hidden, members)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.layers = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, hidden), nn.ReLU(), last)

    def forward(self, features: Tensor) -> Tensor:
        """Map [B, F] to gates [B, M, E]."""
        gates = self.fixed.expand(features.shape[0], -1, -1)  # [M, E] -> [B, M, E]
        return gates if self.layers is None else gates + self.layers(features)[..., None]


class TrunkClassifier(nn.Module):
    """A classifier of the trunk's pooled map alone, which comes first in the feature vector.

    Args:
        features: C, channels of the trunk's last map.
        emotions: E.
        dropout: Dropout of the pooled map.
    """

    layers: nn.Sequential

    def __init__(self, features: int, *, emotions: int, dropout: float) -> None:
        super().__init__()
        self.features = features
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, emotions))

    def forward(self, vector: Tensor) -> Tensor:
        """Map [B, F] to logits [B, E]."""
        logits: Tensor = self.layers(vector[:, : self.features])
        return logits


def encode_places(x: Tensor, dim: int) -> Tensor:
    """Encode the positions of a map by sines and cosines, [1, H * W, dim]; equal for the same part of the face."""
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


def _silence(conv: nn.Conv2d) -> nn.Conv2d:
    """Initialise a convolution to add nothing until it is trained."""
    assert conv.bias is not None
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv
