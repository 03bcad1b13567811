"""Mixing the faces of a batch, targets in step: mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Mixed(NamedTuple):
    """Images float32 [B, C, H, W], their targets float32 [B, E] and their teachers' answers, rows summing to 1."""

    images: Tensor
    targets: Tensor
    answers: Tensor | None


def mix(
    images: Tensor,
    targets: Tensor,
    rng: np.random.Generator,
    *,
    answers: Tensor | None = None,
    mixup: float = 0.0,
    cutmix: float = 0.0,
) -> Mixed:
    """Mix each face of a batch with another one of it.

    Args:
        images: float32 [B, C, H, W].
        targets: float32 [B, E], rows summing to 1.
        rng: The source of all randomness.
        answers: The teachers', float32 [B, E], rows summing to 1; ``None`` where there are none.
        mixup: Alpha of the Beta distribution that the share of the other face is drawn from; 0 to switch it off.
        cutmix: The same for cutting a rectangle out of the other face. With both on, each batch takes one of them.

    Returns:
        New tensors; targets and answers are mixed by the share of the pixels.
    """
    if mixup <= 0 and cutmix <= 0:
        return Mixed(images, targets, answers)
    cuts = cutmix > 0 and (mixup <= 0 or rng.random() < 0.5)
    alpha = cutmix if cuts else mixup
    share = float(rng.beta(alpha, alpha))
    other = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    if not cuts:
        images = torch.lerp(images, images[other], share)
    else:
        height, width = images.shape[-2:]
        rows, columns = (_span(side, share**0.5, rng) for side in (height, width))
        images = images.clone()
        images[:, :, rows, columns] = images[other][:, :, rows, columns]
        share = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    if answers is not None:
        answers = torch.lerp(answers, answers[other], share)
    return Mixed(images, torch.lerp(targets, targets[other], share), answers)


def _span(side: int, part: float, rng: np.random.Generator) -> slice:
    """A stretch of about ``part`` of a side, around a random place, cut off at the ends."""
    middle, half = rng.integers(0, side), part * side / 2
    return slice(max(0, round(middle - half)), min(side, round(middle + half)))
