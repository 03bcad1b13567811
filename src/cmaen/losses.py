"""The losses of CMAEN and their weighted sum, for hard and for soft targets.

A target is a distribution over the emotions, float32 [B, E]; a label is one with all its mass in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cmaen.models.network import EmotionOutput


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the four terms and their settings; the defaults are the paper's.

    Attributes:
        focal: Weight of the focal loss of the final logits.
        emotion: Weight of the cross-entropy of the emotion-specific heads.
        fusion: Weight of the cross-entropy of the fusion classifier.
        label_smoothing: Mass that is spread evenly over all emotions in the first term.
        focal_alpha, focal_gamma: Of the focal loss.
    """

    focal: float = 0.3
    emotion: float = 0.2
    fusion: float = 0.2
    label_smoothing: float = 0.1
    focal_alpha: float = 1.0
    focal_gamma: float = 2.0


def soft_targets(labels: Tensor, emotions: int, others: Sequence[tuple[Tensor, float]] = ()) -> Tensor:
    """Mix labels with other opinions on the same faces, like annotators' votes or a teacher's answers.

    Args:
        labels: int64 [B].
        emotions: E.
        others: Distributions float32 [B, E], each with its weight w; the weights sum to at most 1.

    Returns:
        (1 - sum of w) * one-hot + sum of w * distribution, float32 [B, E].
    """
    targets = (1 - sum(weight for _, weight in others)) * F.one_hot(labels, emotions).float()
    for distribution, weight in others:
        targets = targets + weight * distribution
    return targets


def focal_loss(logits: Tensor, targets: Tensor, *, alpha: float = 1.0, gamma: float = 2.0) -> Tensor:
    """Alpha * sum_k t_k |t_k - p_k|^gamma (-log p_k), averaged over the batch.

    For a label this is the focal loss (Lin et al., 2017); for a soft target it is 0 where the answer is the target, as
    in the quality focal loss (Li et al., 2020), and does not push the answer beyond it.
    """
    log_p = F.log_softmax(logits, dim=1)
    modulated = (targets - log_p.exp()).abs().pow(gamma) * -log_p
    return alpha * (targets * modulated).sum(dim=1).mean()


def cmaen_loss(output: EmotionOutput, targets: Tensor, weights: LossWeights) -> Tensor:
    """Label-smoothed cross-entropy + focal loss of the final logits + cross-entropy of each classifier, weighted.

    Args:
        output: Of the network.
        targets: [B, E], rows summing to 1.
        weights: Of the terms.
    """
    logits = output.logits.float()
    loss = F.cross_entropy(logits, targets, label_smoothing=weights.label_smoothing)
    if weights.focal:
        focal = focal_loss(logits, targets, alpha=weights.focal_alpha, gamma=weights.focal_gamma)
        loss = loss + weights.focal * focal
    if output.emotion_logits is not None:
        loss = loss + weights.emotion * F.cross_entropy(output.emotion_logits.float(), targets)
    if output.fusion_logits is not None:
        loss = loss + weights.fusion * F.cross_entropy(output.fusion_logits.float(), targets)
    return torch.as_tensor(loss)
