"""The losses of CMAEN and their weighted sum, for hard and soft targets.

A target is a distribution over the emotions, float32 [B, E]; a label is one with all its mass on one emotion.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from cmaen.models.base import EmotionOutput
from cmaen.spec import Spec

_NEAREST = 1e-6
"""Distance below which the gradient of the root, which does not exist at 0, is set to 0."""


class LossSpec(Spec):
    """The terms of the loss, see :func:`cmaen_loss`; the configuration ``paper`` has the paper's."""

    focal: float = Field(0.0, ge=0, description="Weight of the focal loss of the final logits.")
    emotion: float = Field(0.3, ge=0, description="Weight of the cross-entropy of the emotion heads.")
    fusion: float = Field(0.3, ge=0, description="Weight of the cross-entropy of the fusion classifier.")
    label_smoothing: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Mass spread evenly over all emotions in the cross-entropy of the final logits; null: 0.1, or 0 "
        "with votes.",
    )
    focal_gamma: float = Field(2.0, ge=0, description="Exponent by which the focal loss discounts easy faces.")
    vote_weight: float = Field(0.0, ge=0, le=1, description="Share of the FER+ votes in the target.")
    votes_as: Literal["annotators", "labels"] = Field(
        "labels",
        description="annotators: the distribution of the annotators' votes. labels: the distribution of FER2013's "
        "label given these votes.",
    )
    perceived: float = Field(
        0.0,
        ge=0,
        description="Weight of the scheme perceived, which is learnt from the FER+ votes; 0: only the labels' scheme.",
    )

    @field_validator("vote_weight")
    @classmethod
    def _smooths_once(cls, weight: float, info: ValidationInfo) -> float:
        if weight and info.data.get("label_smoothing"):
            raise ValueError("vote_weight and label_smoothing both soften the labels: leave one of them out")
        return weight

    @property
    def needs_votes(self) -> bool:
        """Whether the loss learns from votes."""
        return bool(self.vote_weight or self.perceived)

    @property
    def smoothing(self) -> float:
        """The label smoothing in effect."""
        if self.label_smoothing is None:
            return 0.0 if self.vote_weight else 0.1
        return self.label_smoothing


class Lesson(NamedTuple):
    """What is learnt from teachers, in addition to the targets.

    Attributes:
        answers: The teachers' answers, [B, E], rows summing to 1, softened by the temperature.
        share: Share of the answers in each cross-entropy, in [0, 1].
        temperature: Divisor of the student's logits before they are compared with the answers.
        partial: Whether rows may be 0: faces without an answer, which learn from their targets alone. Between the two
            lie faces that are mixed of both kinds.
    """

    answers: Tensor
    share: float
    temperature: float = 1.0
    partial: bool = False


def soft_targets(labels: Tensor, emotions: int, votes: Tensor | None = None, weight: float | Tensor = 0.0) -> Tensor:
    """Mix labels with the distribution that annotators' votes give for the same faces.

    Args:
        labels: int64 [B].
        emotions: E.
        votes: Distributions float32 [B, E].
        weight: w, the weight of the votes, in [0, 1]; float32 [B, 1] if it differs between faces.

    Returns:
        (1 - w) * one-hot + w * votes, float32 [B, E].
    """
    targets = F.one_hot(labels, emotions).float()
    return targets if votes is None else torch.lerp(targets, votes, weight)


def focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Compute sum_k t_k |t_k - p_k|^gamma (-log p_k), averaged over the batch.

    For a label this is the focal loss (Lin et al., 2017); for a soft target it is 0 where the answer equals the target,
    as in the quality focal loss (Li et al., 2020), and does not push the answer beyond it.
    """
    log_p = F.log_softmax(logits, dim=1)
    distance = (targets - log_p.exp()).abs()
    if 0 < gamma < 1:
        distance = distance.clamp_min(_NEAREST)
    modulated = distance.pow(gamma) * -log_p
    return (targets * modulated).sum(dim=1).mean()


def perceived_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the cross-entropy with the annotators' votes, averaged over the faces that have a target.

    Args:
        logits: [B, P].
        targets: [B, P], rows summing to 1, or to 0 for faces without a target.
    """
    return -(targets * F.log_softmax(logits, dim=1)).sum() / targets.sum().clamp_min(1)


def cmaen_loss(
    output: EmotionOutput,
    targets: Tensor,
    spec: LossSpec,
    *,
    lesson: Lesson | None = None,
    perceived: Tensor | None = None,
) -> Tensor:
    """Compute the weighted sum of smoothed cross-entropy, focal loss and each classifier's cross-entropy.

    With a lesson, every cross-entropy becomes (1 - w) CE(logits, targets) + w T^2 CE(logits / T, answers), as in Hinton
    et al. (2015): T^2 keeps the two gradients in proportion.

    Args:
        output: Output of the network.
        targets: [B, E], rows summing to 1.
        spec: The terms and their weights.
        lesson: Answers of the teachers to the same faces.
        perceived: The targets of the second label scheme, see :func:`perceived_loss`.
    """

    def cross_entropy(logits: Tensor, smoothing: float = 0.0) -> Tensor:
        if lesson is not None and lesson.partial:
            return _partial_cross_entropy(logits, targets, lesson, smoothing)
        loss = F.cross_entropy(logits, targets, label_smoothing=smoothing)
        if lesson is None:
            return loss
        taught = lesson.temperature**2 * F.cross_entropy(logits / lesson.temperature, lesson.answers)
        return torch.lerp(loss, taught, lesson.share)

    logits = output.logits.float()
    loss = cross_entropy(logits, spec.smoothing)
    if spec.focal:
        loss = loss + spec.focal * focal_loss(logits, targets, gamma=spec.focal_gamma)
    if output.emotion_logits is not None:
        loss = loss + spec.emotion * cross_entropy(output.emotion_logits.float())
    if output.fusion_logits is not None:
        loss = loss + spec.fusion * cross_entropy(output.fusion_logits.float())
    if output.perceived_logits is not None and perceived is not None:
        loss = loss + spec.perceived * perceived_loss(output.perceived_logits.float(), perceived)
    return torch.as_tensor(loss)


def _partial_cross_entropy(logits: Tensor, targets: Tensor, lesson: Lesson, smoothing: float) -> Tensor:
    """Compute the cross-entropy with targets and answers for a batch in which some faces have no answer."""
    losses = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")  # [B, E] -> [B]
    taught = F.cross_entropy(logits / lesson.temperature, lesson.answers, reduction="none")  # 0 without an answer
    answered = lesson.answers.sum(dim=1)  # [B, E] -> [B]: 1 or 0
    return ((1 - lesson.share * answered) * losses + lesson.share * lesson.temperature**2 * taught).mean()
