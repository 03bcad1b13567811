"""What every network of the emotions is and gives, whatever its wiring.

Shape legend: B batch, E emotions (7), P perceived emotions (8, with contempt), D channels of the fused map, F length of
the feature vector.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from cmaen.models.backbones import Backbone
from cmaen.models.heads import EmotionHeads, FusionClassifier


class EmotionOutput(NamedTuple):
    """What CMAEN gives for a batch.

    Attributes:
        logits: The answer, [B, E].
        emotion_logits: Of the emotion-specific heads, [B, E]; ``None`` where they are switched off.
        fusion_logits: Of the fusion classifier, [B, E]; ``None`` where nothing is fused.
        gate: The ensemble's weights of those two: [B, 2] in the paper's wiring, [B, M, E] in the residual one; ``None``
            where there is nothing to weigh.
        features: The penultimate features, [B, F].
        attention: The cross-modal maps A [B, h, N, N'] where they were asked for and there are any.
        perceived_logits: What annotators would see, [B, P]; ``None`` where the network has one label scheme.
    """

    logits: Tensor
    emotion_logits: Tensor | None
    fusion_logits: Tensor | None
    gate: Tensor | None
    features: Tensor
    attention: Tensor | None = None
    perceived_logits: Tensor | None = None


class Features(NamedTuple):
    """What the classifiers read: the fused map [B, D, H, W] and the features [B, F]; and the cross-modal maps.

    They are [B, h, N, N'], and ``back`` is of the other way where the pathways ask each other.
    """

    fused: Tensor
    vector: Tensor
    attention: Tensor | None
    back: Tensor | None = None


class EmotionNetwork(nn.Module):
    """From images to the emotions.

    Attributes:
        backbone: The pretrained pathway; ``None`` where it is switched off.
        emotion_heads: The emotion-specific heads; ``None`` where they are switched off.
        perceived_classifier: The classifier of the second label scheme; ``None`` where there is one scheme.
    """

    backbone: Backbone | None
    emotion_heads: EmotionHeads | None
    perceived_classifier: FusionClassifier | None

    def forward(self, x: Tensor, *, return_attention: bool = False) -> EmotionOutput:
        """Images float32 [B, 3, H, W], normalised by the PreprocessSpec of the checkpoint -> :class:`EmotionOutput`."""
        return self.answer(self.forward_features(x, return_attention=return_attention))

    def answer(self, features: Features) -> EmotionOutput:
        """What the classifiers of all label schemes say."""
        output = self.forward_head(features)
        if self.perceived_classifier is None:
            return output
        return output._replace(perceived_logits=self.perceived_classifier(features.vector))

    def forward_features(self, x: Tensor, *, return_attention: bool = False) -> Features:
        """Everything up to what the classifiers read."""
        raise NotImplementedError

    def forward_head(self, features: Features) -> EmotionOutput:
        """What the classifiers of the first label scheme say."""
        raise NotImplementedError

    def fold_norms(self) -> None:
        """Before an export: move norms that the engines do not fuse into convolutions; the same answers."""
