"""What every network of the emotions is and returns, whatever its wiring.

Shape legend: B batch, E emotions (7), P perceived emotions (8, with contempt), D channels of the fused map, F length of
the feature vector.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from cmaen.models.backbones import Backbone
from cmaen.models.parts.ecnn import ECNN
from cmaen.models.parts.heads import EmotionHeads, FusionClassifier


class EmotionOutput(NamedTuple):
    """What a network answers for a batch.

    Attributes:
        logits: The answer, [B, E].
        emotion_logits: Of the emotion heads, [B, E]; ``None`` without them.
        fusion_logits: Of the fusion classifier, [B, E]; ``None`` where nothing is fused.
        features: The penultimate features, [B, F].
        perceived_logits: What annotators would see, [B, P]; ``None`` where the network has one label scheme.
    """

    logits: Tensor
    emotion_logits: Tensor | None
    fusion_logits: Tensor | None
    features: Tensor
    perceived_logits: Tensor | None = None


class Features(NamedTuple):
    """What the classifiers read, and the attention across the pathways.

    Attributes:
        fused: The fused map, [B, D, H, W].
        vector: The pooled features, [B, F].
        attention: The attention across the pathways, [B, h, N, N'], where it was asked for and there is any.
        back: The same of the other way, where the pathways attend to each other.
    """

    fused: Tensor
    vector: Tensor
    attention: Tensor | None
    back: Tensor | None = None


class EmotionNetwork(nn.Module):
    """From images to the emotions.

    Attributes:
        trunk: The first pathway.
        side: The second one; ``None`` where there is one alone.
        trunk_attention, side_attention: Multi-scale attention on the last map of each; an identity without it.
        emotion_heads: The emotion heads; ``None`` without them.
        perceived_classifier: The classifier of the second label scheme; ``None`` where there is one scheme.
    """

    trunk: Backbone
    side: Backbone | None
    trunk_attention: nn.Module
    side_attention: nn.Module
    emotion_heads: EmotionHeads | None
    perceived_classifier: FusionClassifier | None

    @property
    def pretrained(self) -> tuple[str, ...]:
        """Which of ``trunk`` and ``side`` are backbones that weights exist for, that is, all but the E-CNN."""
        return tuple(role for role in ("trunk", "side") if not isinstance(getattr(self, role), ECNN | None))

    def forward(self, x: Tensor) -> EmotionOutput:
        """Images float32 [B, 3, H, W], normalised by the PreprocessSpec of the checkpoint -> :class:`EmotionOutput`."""
        return self.answer(self.forward_features(x))

    def answer(self, features: Features) -> EmotionOutput:
        """Ask the classifiers of all label schemes."""
        output = self.forward_head(features)
        if self.perceived_classifier is None:
            return output
        return output._replace(perceived_logits=self.perceived_classifier(features.vector))

    def forward_features(self, x: Tensor, *, return_attention: bool = False) -> Features:
        """Compute everything up to what the classifiers read."""
        raise NotImplementedError

    def forward_head(self, features: Features) -> EmotionOutput:
        """Ask the classifiers of the first label scheme."""
        raise NotImplementedError

    def fold_norms(self) -> None:
        """Before an export, move norms that the engines do not fuse into convolutions; the answers stay the same."""
