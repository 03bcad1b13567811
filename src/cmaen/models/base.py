"""The interface of every emotion network, and its outputs, whatever its wiring.

Shape legend: B batch, E emotions (7), P perceived emotions (8, with contempt), D channels of the fused map, F length of
the feature vector.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from cmaen.areas import average_areas
from cmaen.errors import ConfigError
from cmaen.models.backbones import Backbone
from cmaen.models.parts.ecnn import ECNN
from cmaen.models.parts.heads import EmotionHeads, FusionClassifier


class EmotionOutput(NamedTuple):
    """The output of a network for a batch.

    Attributes:
        logits: The final logits, [B, E].
        emotion_logits: Logits of the emotion heads, [B, E]; ``None`` without them.
        fusion_logits: Logits of the fusion classifier, [B, E]; ``None`` if nothing is fused.
        features: The penultimate features, [B, F].
        perceived_logits: Logits of the scheme ``perceived``, [B, P]; ``None`` if the network has one label scheme.
    """

    logits: Tensor
    emotion_logits: Tensor | None
    fusion_logits: Tensor | None
    features: Tensor
    perceived_logits: Tensor | None = None


class Features(NamedTuple):
    """The inputs of the classifiers, and the attention between the pathways.

    Attributes:
        fused: The fused map, [B, D, H, W].
        vector: The pooled features, [B, F].
        attention: The attention between the pathways, [B, h, N, N'], if requested and present.
        back: The attention in the other direction, if the pathways attend to each other.
    """

    fused: Tensor
    vector: Tensor
    attention: Tensor | None
    back: Tensor | None = None


class EmotionNetwork(nn.Module):
    """A network from images to emotions.

    Attributes:
        trunk: The first pathway.
        side: The second pathway; ``None`` if there is only one.
        side_size: Side in pixels to which the image is reduced for it; ``None`` for all of it.
        trunk_attention, side_attention: Multi-scale attention on the last map of each; an identity without it.
        emotion_heads: The emotion heads; ``None`` without them.
        perceived_classifier: The classifier of the second label scheme; ``None`` if there is one scheme.
    """

    trunk: Backbone
    side: Backbone | None
    side_size: int | None
    trunk_attention: nn.Module
    side_attention: nn.Module
    emotion_heads: EmotionHeads | None
    perceived_classifier: FusionClassifier | None

    @property
    def pretrained(self) -> tuple[str, ...]:
        """Those of ``trunk`` and ``side`` for which pretrained weights exist: all backbones except the E-CNN."""
        return tuple(role for role in ("trunk", "side") if not isinstance(getattr(self, role), ECNN | None))

    def forward(self, x: Tensor) -> EmotionOutput:
        """Classify images float32 [B, 3, H, W], normalised by the checkpoint's PreprocessSpec."""
        return self.answer(self.forward_features(x))

    def answer(self, features: Features) -> EmotionOutput:
        """Run the classifiers of all label schemes."""
        output = self.forward_head(features)
        if self.perceived_classifier is None:
            return output
        return output._replace(perceived_logits=self.perceived_classifier(features.vector))

    def run_side(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run the second pathway on images [B, 3, H, W], reduced to its size, and return its levels.

        Raises:
            ConfigError: The images are smaller than that.
        """
        assert self.side is not None
        if self.side_size is not None and min(x.shape[-2:]) < self.side_size:
            raise ConfigError(
                f"model.side_size is {self.side_size}, but the image has only {x.shape[-2]} x {x.shape[-1]} pixels; "
                "use a smaller model.side_size or a larger preprocess.image_size"
            )
        levels: tuple[Tensor, ...] = self.side(x if self.side_size is None else average_areas(x, self.side_size))
        return levels

    def forward_features(self, x: Tensor, *, return_attention: bool = False) -> Features:
        """Compute the inputs of the classifiers."""
        raise NotImplementedError

    def forward_head(self, features: Features) -> EmotionOutput:
        """Run the classifiers of the first label scheme."""
        raise NotImplementedError

    def fold_norms(self) -> None:
        """Fold norms that the engines do not fuse into convolutions, before an export; the outputs stay the same."""
