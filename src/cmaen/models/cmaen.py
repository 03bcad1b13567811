"""CMAEN, the Cross-Modal Attention Emotion Network.

Shape legend: B batch, E emotions (7), D channels of the fused map, F length of the feature vector.

    image ─┬─ E-CNN ───── multi-scale attention ─ e ─┐
           │    └ x2, x3, x4 ─┐                      ├─ cross-modal attention ─ fused ─┬─ emotion heads ─────┐
           └─ backbone ── multi-scale attention ─ f ─┘                                 │                     ├─ logits
                              └─ feature pyramid ─ pooled, with fused and f ───────────┴─ fusion classifier ─┘
                                                                                          (adaptive ensemble)
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cmaen.errors import ConfigError
from cmaen.models.attention import MultiScaleAttention
from cmaen.models.backbones import Backbone, build_backbone
from cmaen.models.ecnn import ECNN, Stem
from cmaen.models.fusion import AdditiveFusion, CrossModalFusion, FeaturePyramid
from cmaen.models.heads import AdaptiveEnsemble, EmotionHeads, FusionClassifier
from cmaen.types import EMOTIONS


class EmotionOutput(NamedTuple):
    """What CMAEN gives for a batch.

    Attributes:
        logits: The answer, [B, E].
        emotion_logits: Of the emotion-specific heads, [B, E]; ``None`` where they are switched off.
        fusion_logits: Of the fusion classifier, [B, E].
        gate: The ensemble's weights of those two, [B, 2]; ``None`` without emotion heads.
        features: The penultimate features, [B, F].
        attention: The cross-modal maps A [B, h, N, N'] where they were asked for and there are any.
    """

    logits: Tensor
    emotion_logits: Tensor | None
    fusion_logits: Tensor
    gate: Tensor | None
    features: Tensor
    attention: Tensor | None = None


class Features(NamedTuple):
    """What the classifiers read: the fused map [B, D, H, W], the features [B, F] and the cross-modal maps."""

    fused: Tensor
    vector: Tensor
    attention: Tensor | None


class CMAEN(nn.Module):
    """The network, put together from its parts; :func:`build_cmaen` makes them to fit each other.

    A part that is ``None`` is switched off. At least one of ``ecnn`` and ``backbone`` is there.
    """

    def __init__(
        self,
        *,
        ecnn: ECNN | None,
        backbone: Backbone | None,
        ecnn_attention: nn.Module,
        backbone_attention: nn.Module,
        fusion: CrossModalFusion | AdditiveFusion,
        pyramid: FeaturePyramid | None,
        emotion_heads: EmotionHeads | None,
        fusion_classifier: FusionClassifier,
        ensemble: AdaptiveEnsemble | None,
    ) -> None:
        super().__init__()
        self.ecnn = ecnn
        self.backbone = backbone
        self.ecnn_attention = ecnn_attention
        self.backbone_attention = backbone_attention
        self.fusion = fusion
        self.pyramid = pyramid
        self.emotion_heads = emotion_heads
        self.fusion_classifier = fusion_classifier
        self.ensemble = ensemble

    def forward(self, x: Tensor, *, return_attention: bool = False) -> EmotionOutput:
        """Images float32 [B, 3, H, W], normalised by the PreprocessSpec of the checkpoint -> :class:`EmotionOutput`."""
        return self.forward_head(self.forward_features(x, return_attention=return_attention))

    def forward_features(self, x: Tensor, *, return_attention: bool = False) -> Features:
        """Stages 1 and 2: both pathways, their fusion, the pyramid, and everything pooled into one vector."""
        e = f = None
        levels: tuple[Tensor, ...] = ()
        if self.backbone is not None:
            levels = self.backbone(x)
            f = self.backbone_attention(levels[-1])
        if self.ecnn is not None:
            levels = self.ecnn(x)[1:]  # x2, x3, x4
            e = self.ecnn_attention(levels[-1])
        fused, attention = self.fusion(e, f, return_attention=return_attention)
        maps = [fused] if f is None else [fused, f]
        if self.pyramid is not None:
            maps += self.pyramid(levels, fused)
        vector = torch.cat([x.mean(dim=(2, 3)) for x in maps], dim=1)  # [B, C_i, H_i, W_i] -> [B, F]
        return Features(fused, vector, attention)

    def forward_head(self, features: Features) -> EmotionOutput:
        """Stage 3: the two classifiers and their ensemble."""
        fusion_logits = self.fusion_classifier(features.vector)
        if self.emotion_heads is None:
            return EmotionOutput(fusion_logits, None, fusion_logits, None, features.vector, features.attention)
        emotion_logits = self.emotion_heads(features.fused)
        even = torch.full_like(fusion_logits[:, :2], 0.5)
        gate = even if self.ensemble is None else self.ensemble(features.vector)
        logits = gate[:, :1] * emotion_logits + gate[:, 1:] * fusion_logits
        return EmotionOutput(logits, emotion_logits, fusion_logits, gate, features.vector, features.attention)


def build_cmaen(
    *,
    backbone: str | None = "efficientnet_v2_s",
    backbone_weights: str | Path | None = None,
    ecnn: bool = True,
    ecnn_widths: tuple[int, int, int, int] = (64, 128, 256, 512),
    ecnn_stem: Stem = "paper",
    ecnn_stem_stride: int = 2,
    multi_scale_attention: bool = True,
    scales: tuple[int, ...] = (1, 2, 4),
    cross_modal_attention: bool = True,
    bidirectional: bool = False,
    fused_channels: int = 256,
    attention_heads: int = 8,
    feature_pyramid: bool = True,
    pyramid_channels: int = 128,
    emotion_heads: bool = True,
    adaptive_ensemble: bool = True,
    hidden: int = 256,
    dropout: float = 0.5,
    stochastic_depth: float = 0.0,
) -> CMAEN:
    """A CMAEN by its architecture; the defaults are the paper's, and every switch of its ablation is an argument.

    Args:
        backbone: A registered backbone, or ``None`` to switch that pathway off.
        backbone_weights: What the backbone starts from, see :func:`cmaen.models.backbones.build_backbone`.
        ecnn: Whether there is an E-CNN pathway.
        ecnn_widths, ecnn_stem, ecnn_stem_stride: See :class:`cmaen.models.ecnn.ECNN`.
        multi_scale_attention, scales: See :class:`cmaen.models.attention.MultiScaleAttention`.
        cross_modal_attention, bidirectional, attention_heads: See :class:`cmaen.models.fusion.CrossModalFusion`.
            Without it, and with a single pathway, the projected maps are added.
        fused_channels: D.
        feature_pyramid, pyramid_channels: See :class:`cmaen.models.fusion.FeaturePyramid`.
        emotion_heads: Whether there are emotion-specific heads; without them the fusion classifier alone answers.
        adaptive_ensemble: Whether the two classifiers are weighed face by face, or averaged.
        hidden: Width of the fusion classifier.
        dropout: Of the E-CNN's last map and of the classifiers' inputs.
        stochastic_depth: See :class:`cmaen.models.ecnn.ECNN`.

    Raises:
        ConfigError: Both pathways are switched off, or the backbone is unknown.
    """
    if backbone is None and not ecnn:
        raise ConfigError("CMAEN needs at least one pathway: switch ecnn on or name a backbone")
    texture = None
    if ecnn:
        texture = ECNN(
            widths=ecnn_widths,
            stem=ecnn_stem,
            stem_stride=ecnn_stem_stride,
            dropout=dropout,
            stochastic_depth=stochastic_depth,
        )
    semantic = None if backbone is None else build_backbone(backbone, backbone_weights)
    e_channels = texture.channels[-1] if texture else None
    f_channels = semantic.channels[-1] if semantic else None

    def over_scales(channels: int | None) -> nn.Module:
        on = multi_scale_attention and channels is not None
        return MultiScaleAttention(channels, scales=scales) if on and channels else nn.Identity()

    fusion: CrossModalFusion | AdditiveFusion
    if cross_modal_attention and e_channels and f_channels:
        fusion = CrossModalFusion(
            e_channels, f_channels, dim=fused_channels, heads=attention_heads, bidirectional=bidirectional
        )
    else:
        fusion = AdditiveFusion(e_channels, f_channels, dim=fused_channels)
    pyramid = None
    if feature_pyramid:
        level_channels = texture.channels[1:] if texture else semantic.channels if semantic else ()
        pyramid = FeaturePyramid(level_channels, fused_channels, dim=pyramid_channels)
    features = fused_channels + (f_channels or 0) + (4 * pyramid_channels if pyramid else 0)
    emotions = len(EMOTIONS)
    return CMAEN(
        ecnn=texture,
        backbone=semantic,
        ecnn_attention=over_scales(e_channels),
        backbone_attention=over_scales(f_channels),
        fusion=fusion,
        pyramid=pyramid,
        emotion_heads=EmotionHeads(fused_channels, emotions=emotions, dropout=dropout) if emotion_heads else None,
        fusion_classifier=FusionClassifier(features, hidden=hidden, emotions=emotions, dropout=dropout),
        ensemble=AdaptiveEnsemble(features) if emotion_heads and adaptive_ensemble else None,
    )
