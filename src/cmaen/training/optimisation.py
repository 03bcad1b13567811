"""The optimiser of every training run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.optim.lr_scheduler import LambdaLR

from cmaen.training.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Optimisation:
    """AdamW (Loshchilov and Hutter, 2019).

    Attributes:
        learning_rate: The highest.
        weight_decay: None on norms and biases.
        clip: Largest norm of the gradient.
        schedule: Of the learning rate over the epochs.
    """

    learning_rate: float
    weight_decay: float
    clip: float
    schedule: Schedule

    def optimizers(self, module: pl.LightningModule) -> OptimizerLRScheduler:
        """The optimiser of a module in training, and a schedule that moves at every step."""
        parameters = list(module.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        trainer = module.trainer
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        optimizer = torch.optim.AdamW(groups, lr=self.learning_rate, fused=not scaled)
        steps_per_epoch = max(1, math.ceil(trainer.estimated_stepping_batches / (trainer.max_epochs or 1)))
        scheduler = LambdaLR(optimizer, lambda step: self.schedule.factor(step / steps_per_epoch))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def clip_gradient(self, module: pl.LightningModule) -> None:
        """Clip by the norm; Lightning's own way refuses a fused optimiser.

        Gradients are scaled in float16 alone. A fused optimiser would unscale them itself, after the clipping; for the
        other, which :meth:`optimizers` takes there, Lightning has done so before.
        """
        torch.nn.utils.clip_grad_norm_(module.parameters(), self.clip)
