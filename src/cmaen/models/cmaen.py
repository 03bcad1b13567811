"""CMAEN, the Cross-Modal Attention Emotion Network, in the paper's wiring.

Shape legend: B batch, E emotions (7), D channels of the fused map, F length of the feature vector.

    image ─┬─ E-CNN ───── multi-scale attention ─ e ─┐
           │    └ x2, x3, x4 ─┐                      ├─ cross-modal attention ─ fused ─┬─ emotion heads ─────┐
           └─ backbone ── multi-scale attention ─ f ─┘                                 │                     ├─ logits
                              └─ feature pyramid ─ pooled, with fused and f ───────────┴─ fusion classifier ─┘
                                                                                          (adaptive ensemble)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmaen.models.backbones import Backbone
from cmaen.models.ecnn import ECNN
from cmaen.models.fusion import AdditiveFusion, CrossModalFusion, FeaturePyramid
from cmaen.models.heads import AdaptiveEnsemble, EmotionHeads, FusionClassifier
from cmaen.models.network import EmotionNetwork, EmotionOutput, Features


class CMAEN(EmotionNetwork):
    """The network, put together from its parts; :func:`~cmaen.models.build.build_cmaen` makes them to fit each other.

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
        perceived_classifier: FusionClassifier | None = None,
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
        self.perceived_classifier = perceived_classifier

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
        fused, attention, back = self.fusion(e, f, return_attention=return_attention)
        maps = [fused] if f is None else [fused, f]
        if self.pyramid is not None:
            maps += self.pyramid(levels, fused)
        vector = torch.cat([x.mean(dim=(2, 3)) for x in maps], dim=1)  # [B, C_i, H_i, W_i] -> [B, F]
        return Features(fused, vector, attention, back)

    def fold_norms(self) -> None:
        """See :class:`~cmaen.models.network.EmotionNetwork`."""
        self.fusion.fold_norm()

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
