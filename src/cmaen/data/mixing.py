"""Mixing the faces of a batch with their targets: mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Targets = tuple[Tensor, Tensor | None, Tensor | None]
"""Distributions float32 [B, E] each: targets, teachers' answers, annotators' votes; ``None`` where there are none."""


class Mixed(NamedTuple):
    """Images float32 [B, C, H, W] and their targets, see :func:`mix`."""

    images: Tensor
    targets: Targets


def mix(
    images: Tensor,
    targets: Targets,
    rng: np.random.Generator,
    *,
    mixup: float = 0.0,
    cutmix: float = 0.0,
) -> Mixed:
    """Mix each face of a batch with another face of the batch.

    Args:
        images: float32 [B, C, H, W].
        targets: Targets of the images.
        rng: The source of all randomness.
        mixup: Alpha of the Beta distribution from which the share of the other face is drawn; 0 switches mixup off.
        cutmix: The same for pasting a rectangle of the other face. If both are on, each batch uses one of them.

    Returns:
        New tensors; the targets are mixed by the share of the pixels.
    """
    if mixup <= 0 and cutmix <= 0:
        return Mixed(images, targets)
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

    def blend(target: Tensor) -> Tensor:
        return torch.lerp(target, target[other], share)

    first, *rest = targets
    answers, perceived = (None if target is None else blend(target) for target in rest)
    return Mixed(images, (blend(first), answers, perceived))


def _span(side: int, part: float, rng: np.random.Generator) -> slice:
    """Return an interval of about ``part`` of a side, around a random place, cut off at the ends."""
    middle, half = rng.integers(0, side), part * side / 2
    return slice(max(0, round(middle - half)), min(side, round(middle + half)))
