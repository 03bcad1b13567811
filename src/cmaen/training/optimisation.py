"""The optimiser of every training run and the schedule of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial
from typing import Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pydantic import Field
from torch.nn import Parameter
from torch.optim.lr_scheduler import LambdaLR

from cmaen.spec import Spec
from cmaen.training.schedule import Schedule

_GATES = ("gamma", "scale", "temperature")


class OptimiserSpec(Spec):
    """AdamW (Loshchilov and Hutter, 2019) and the schedule of its learning rate; the defaults are the paper's."""

    learning_rate: float = Field(1e-4, gt=0, description="Peak learning rate.")
    backbone_rate: float = Field(
        1.0,
        ge=0,
        description="Factor on the learning rate of the pretrained pathways: all except an E-CNN from random weights; "
        "0 freezes them.",
    )
    gate_rate: float = Field(
        1.0, gt=0, description="Factor on the learning rate of the gates, which scale what a part adds."
    )
    head_first_epochs: float = Field(
        0.0, ge=0, description="Number of first epochs in which the pretrained pathways are frozen."
    )
    weight_decay: float = Field(
        1e-3, ge=0, description="Weight decay; normalisation layers, biases and gates have none."
    )
    clip: float = Field(1.0, gt=0, description="Maximum norm of the gradient.")
    schedule: Literal["warm_restarts", "cosine"] = Field(
        "warm_restarts", description="Cosine annealing in cycles (warm_restarts), or once over the whole run (cosine)."
    )
    warmup_epochs: float = Field(1.0, ge=0, description="Number of epochs over which the learning rate rises linearly.")
    t_0: int = Field(30, ge=1, description="Length of the first cycle of warm restarts in epochs.")
    t_mult: int = Field(2, ge=1, description="Factor by which each cycle is longer than the one before.")
    eta_min: float = Field(1e-6, ge=0, description="Learning rate at the end of a cycle.")

    def plan(self, epochs: int) -> Schedule:
        """Plan the factor on the learning rates over a run of this many epochs."""
        once = self.schedule == "cosine"
        return Schedule(
            warmup_epochs=self.warmup_epochs,
            cycle_epochs=max(epochs - self.warmup_epochs, 1) if once else self.t_0,
            cycle_growth=1 if once else self.t_mult,
            floor=min(self.eta_min / self.learning_rate, 1.0),
        )


def build_optimisers(
    spec: OptimiserSpec, module: pl.LightningModule, *, pretrained: Collection[str] = ()
) -> OptimizerLRScheduler:
    """Build the optimiser of a module and a schedule that advances at every step.

    Args:
        spec: Settings of the optimiser and the schedule.
        module: The module to train.
        pretrained: Names of its pretrained parts, such as ``model.trunk``.
    """
    trainer = module.trainer
    epochs = trainer.max_epochs or 1
    schedule = spec.plan(epochs)
    roles: dict[tuple[str, bool], list[Parameter]] = {}
    for name, parameter in module.named_parameters():
        roles.setdefault((find_role(name, pretrained), parameter.ndim > 1), []).append(parameter)
    rates = {"backbone": spec.backbone_rate, "gate": spec.gate_rate, "rest": 1.0}
    groups = [
        {
            "params": parameters,
            "lr": spec.learning_rate * rates[role],
            "weight_decay": spec.weight_decay if decays and role != "gate" else 0.0,
        }
        for (role, decays), parameters in roles.items()
    ]
    scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
    optimizer = torch.optim.AdamW(groups, lr=spec.learning_rate, fused=not scaled)
    steps_per_epoch = max(1, math.ceil(trainer.estimated_stepping_batches / epochs))

    def factor(step: int, *, rests: bool) -> float:
        epoch = step / steps_per_epoch
        return 0.0 if rests and epoch < spec.head_first_epochs else schedule.factor(epoch)

    scheduler = LambdaLR(optimizer, [partial(factor, rests=role == "backbone") for role, _ in roles])
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def clip_gradient(spec: OptimiserSpec, module: pl.LightningModule) -> None:
    """Clip the gradient by its norm; Lightning's own clipping refuses a fused optimiser.

    Only in float16 are gradients scaled. A fused optimiser would unscale them itself, after the clipping;
    :func:`build_optimisers` uses the other kind there, whose gradients Lightning has unscaled by then.
    """
    torch.nn.utils.clip_grad_norm_(module.parameters(), spec.clip)


def find_role(name: str, pretrained: Collection[str] = ()) -> str:
    """Return a parameter's role: ``backbone`` if it belongs to a pretrained part, ``gate``, or ``rest``."""
    if any(name.startswith(f"{part}.") for part in pretrained):
        return "backbone"
    parts = name.split(".")
    return "gate" if parts[-1] in _GATES or "ensemble" in parts else "rest"
