"""The losses of CMAEN and their weighted sum, for hard and for soft targets.

A target is a distribution over the emotions, float32 [B, E]; a label is one with all its mass in one place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cmaen.models.network import EmotionOutput

_NEAREST = 1e-6
"""Where an answer is the target, a root has no gradient: nearer than this it has that of no distance, 0."""


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the terms and their settings; the defaults are the paper's.

    Attributes:
        focal: Weight of the focal loss of the final logits.
        emotion: Weight of the cross-entropy of the emotion-specific heads.
        fusion: Weight of the cross-entropy of the fusion classifier.
        label_smoothing: Mass that is spread evenly over all emotions in the first term.
        focal_alpha, focal_gamma: Of the focal loss.
        distillation: Part of each cross-entropy that goes to the teachers' answers, where there are any.
        temperature: Divides the student's logits before they are held against the teachers' answers.
        perceived: Weight of the cross-entropy of the second label scheme.
    """

    focal: float = 0.3
    emotion: float = 0.2
    fusion: float = 0.2
    label_smoothing: float = 0.1
    focal_alpha: float = 1.0
    focal_gamma: float = 2.0
    distillation: float = 0.0
    temperature: float = 1.0
    perceived: float = 0.0


def soft_targets(labels: Tensor, emotions: int, votes: Tensor | None = None, weight: float = 0.0) -> Tensor:
    """Mix labels with what annotators' votes say about the same faces.

    Args:
        labels: int64 [B].
        emotions: E.
        votes: Distributions float32 [B, E].
        weight: w, of the votes, in [0, 1].

    Returns:
        (1 - w) * one-hot + w * votes, float32 [B, E].
    """
    targets = F.one_hot(labels, emotions).float()
    return targets if votes is None else torch.lerp(targets, votes, weight)


def focal_loss(logits: Tensor, targets: Tensor, *, alpha: float = 1.0, gamma: float = 2.0) -> Tensor:
    """Alpha * sum_k t_k |t_k - p_k|^gamma (-log p_k), averaged over the batch.

    For a label this is the focal loss (Lin et al., 2017); for a soft target it is 0 where the answer is the target, as
    in the quality focal loss (Li et al., 2020), and does not push the answer beyond it.
    """
    log_p = F.log_softmax(logits, dim=1)
    distance = (targets - log_p.exp()).abs()
    if 0 < gamma < 1:
        distance = distance.clamp_min(_NEAREST)
    modulated = distance.pow(gamma) * -log_p
    return alpha * (targets * modulated).sum(dim=1).mean()


def perceived_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with what annotators saw, averaged over the faces that have a target.

    Args:
        logits: [B, P].
        targets: [B, P], rows summing to 1, or to 0 where nothing is to be learnt.
    """
    return -(targets * F.log_softmax(logits, dim=1)).sum() / targets.sum().clamp_min(1)


def cmaen_loss(
    output: EmotionOutput,
    targets: Tensor,
    weights: LossWeights,
    answers: Tensor | None = None,
    perceived: Tensor | None = None,
) -> Tensor:
    """Label-smoothed cross-entropy + focal loss of the final logits + cross-entropy of each classifier, weighted.

    With teachers every cross-entropy becomes (1 - w) CE(logits, targets) + w T^2 CE(logits / T, answers), as Hinton et
    al. (2015) have it: T^2 keeps the two gradients in proportion.

    Args:
        output: Of the network.
        targets: [B, E], rows summing to 1.
        weights: Of the terms.
        answers: The teachers', [B, E], rows summing to 1, softened by the same temperature.
        perceived: The targets of the second label scheme, see :func:`perceived_loss`.
    """

    def cross_entropy(logits: Tensor, smoothing: float = 0.0) -> Tensor:
        loss = F.cross_entropy(logits, targets, label_smoothing=smoothing)
        if answers is None:
            return loss
        taught = weights.temperature**2 * F.cross_entropy(logits / weights.temperature, answers)
        return torch.lerp(loss, taught, weights.distillation)

    logits = output.logits.float()
    loss = cross_entropy(logits, weights.label_smoothing)
    if weights.focal:
        focal = focal_loss(logits, targets, alpha=weights.focal_alpha, gamma=weights.focal_gamma)
        loss = loss + weights.focal * focal
    if output.emotion_logits is not None:
        loss = loss + weights.emotion * cross_entropy(output.emotion_logits.float())
    if output.fusion_logits is not None:
        loss = loss + weights.fusion * cross_entropy(output.fusion_logits.float())
    if output.perceived_logits is not None and perceived is not None:
        loss = loss + weights.perceived * perceived_loss(output.perceived_logits.float(), perceived)
    return torch.as_tensor(loss)
