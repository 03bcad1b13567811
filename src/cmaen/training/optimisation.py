"""The optimiser of every training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.nn import Parameter
from torch.optim.lr_scheduler import LambdaLR

from cmaen.training.schedule import Schedule

_GATES = ("gamma", "scale", "temperature")


@dataclass(frozen=True, slots=True)
class Optimisation:
    """AdamW (Loshchilov and Hutter, 2019).

    Attributes:
        learning_rate: The highest.
        weight_decay: None on norms and biases.
        clip: Largest norm of the gradient.
        schedule: Of the learning rate over the epochs.
        backbone_rate, gate_rate: Learning rate of the pretrained pathway, and of the few numbers that scale what a part
            adds, as a factor on that of the rest.
        head_first_epochs: The backbone rests over these, while what stands on it is still random.
    """

    learning_rate: float
    weight_decay: float
    clip: float
    schedule: Schedule
    backbone_rate: float = 1.0
    gate_rate: float = 1.0
    head_first_epochs: float = 0.0

    def optimizers(self, module: pl.LightningModule) -> OptimizerLRScheduler:
        """The optimiser of a module in training, and a schedule that moves at every step."""
        roles: dict[tuple[str, bool], list[Parameter]] = {}
        for name, parameter in module.named_parameters():
            roles.setdefault((role_of(name), parameter.ndim > 1), []).append(parameter)
        rates = {"backbone": self.backbone_rate, "gate": self.gate_rate, "rest": 1.0}
        groups = [
            {
                "params": parameters,
                "lr": self.learning_rate * rates[role],
                "weight_decay": self.weight_decay if decays and role != "gate" else 0.0,
            }
            for (role, decays), parameters in roles.items()
        ]
        trainer = module.trainer
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        optimizer = torch.optim.AdamW(groups, lr=self.learning_rate, fused=not scaled)
        steps_per_epoch = max(1, math.ceil(trainer.estimated_stepping_batches / (trainer.max_epochs or 1)))

        def factor(step: int, *, rests: bool) -> float:
            epoch = step / steps_per_epoch
            return 0.0 if rests and epoch < self.head_first_epochs else self.schedule.factor(epoch)

        scheduler = LambdaLR(optimizer, [partial(factor, rests=role == "backbone") for role, _ in roles])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def clip_gradient(self, module: pl.LightningModule) -> None:
        """Clip by the norm; Lightning's own way refuses a fused optimiser.

        Gradients are scaled in float16 alone. A fused optimiser would unscale them itself, after the clipping; for the
        other, which :meth:`optimizers` takes there, Lightning has done so before.
        """
        torch.nn.utils.clip_grad_norm_(module.parameters(), self.clip)


def role_of(name: str) -> str:
    """What a parameter of a module in training is, by its name: of the ``backbone``, a ``gate``, or of the ``rest``."""
    parts = name.split(".")
    if "backbone" in parts:
        return "backbone"
    return "gate" if parts[-1] in _GATES or "ensemble" in parts else "rest"
