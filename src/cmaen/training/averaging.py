"""The exponential moving average of the weights (Polyak and Juditsky, 1992), with a warm-up of its decay."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Average = Callable[[list[Tensor], list[Tensor], Tensor | int], None]


def warm_average(decay: float) -> Average:
    """Build the update of an average, for :class:`torch.optim.swa_utils.AveragedModel`.

    After n steps the decay is the smaller of ``decay`` and (1 + n) / (10 + n), so that the untrained weights of the
    first steps do not dominate the average.
    """

    @torch.no_grad()
    def average(averaged: list[Tensor], current: list[Tensor], number: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(number)) / (10 + int(number)))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, share)
        else:  # BatchNorm's count of batches
            torch._foreach_copy_(averaged, current)

    return average
