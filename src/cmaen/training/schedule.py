"""The learning rate over the epochs: a linear warm-up, then cosine annealing, once or with warm restarts."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Factor on the learning rate (Loshchilov and Hutter, 2017).

    Attributes:
        warmup_epochs: Number of epochs over which the factor rises linearly.
        cycle_epochs: Length of the first cycle after the warm-up.
        cycle_growth: Factor by which each cycle is longer than the one before; irrelevant with one cycle.
        floor: Factor at the end of a cycle.
    """

    warmup_epochs: float
    cycle_epochs: float
    cycle_growth: int = 1
    floor: float = 0.0

    def factor(self, epoch: float) -> float:
        """Return the factor after this many epochs, in (0, 1]."""
        if epoch < self.warmup_epochs:
            return max(epoch / self.warmup_epochs, 1e-3)
        epoch -= self.warmup_epochs
        length = self.cycle_epochs
        while epoch >= length and length > 0:
            epoch -= length
            length *= self.cycle_growth
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * epoch / length))
