"""The Lightning module: the training step, the validation step, the optimiser and its schedule."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from cmaen.losses import Lesson, LossSpec, cmaen_loss
from cmaen.models.base import EmotionNetwork
from cmaen.training.batches import Batch, derive_seed
from cmaen.training.distillation import DistillationSpec
from cmaen.training.optimisation import OptimiserSpec, build_optimisers, clip_gradient
from cmaen.types import EMOTIONS


class EmotionModule(LightningModule):
    """Trains an emotion network.

    Args:
        model: The network.
        loss: Settings of the loss.
        optimiser: Settings of the optimiser.
        distillation: Settings of learning from the teachers' answers, for batches that have them.
        seed: Random seed of the network, for example of dropout.
        classes: Number of classes.
        partly_answered: Whether the teachers have not answered every face, see :class:`cmaen.losses.Lesson`.
        pretrained: Pathways that start from trained weights; ``None``: all backbones.
    """

    model: EmotionNetwork
    distillation: DistillationSpec
    accuracy: MulticlassAccuracy
    macro_f1: MulticlassF1Score

    def __init__(
        self,
        model: EmotionNetwork,
        *,
        loss: LossSpec,
        optimiser: OptimiserSpec,
        seed: int,
        distillation: DistillationSpec | None = None,
        classes: int = len(EMOTIONS),
        partly_answered: bool = False,
        pretrained: Collection[str] | None = None,
    ) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.loss = loss
        self.optimiser = optimiser
        self.distillation = distillation or DistillationSpec()
        self.seed = seed
        self.partly_answered = partly_answered
        self.pretrained = model.pretrained if pretrained is None else pretrained
        self.accuracy = MulticlassAccuracy(classes, average="micro")
        self.macro_f1 = MulticlassF1Score(classes, average="macro")

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed each step separately, so that a resumed run continues identically."""
        torch.manual_seed(derive_seed(self.seed, self.global_step, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of one batch."""
        output = self.model(_channels_last(batch.images))
        lesson = None
        if batch.answers is not None:
            lesson = Lesson(batch.answers, self.distillation.share, self.distillation.temperature, self.partly_answered)
        loss = cmaen_loss(output, batch.targets, self.loss, lesson=lesson, perceived=batch.perceived)
        count = len(batch.labels)
        hits = (output.logits.argmax(dim=1) == batch.labels).float().mean()
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=count)
        self.log("train_accuracy", hits, on_step=False, on_epoch=True, sync_dist=True, batch_size=count)
        return loss

    def on_train_epoch_end(self) -> None:
        """Note the learning rate in the middle of the epoch."""
        schedule = self.optimiser.plan(self.trainer.max_epochs or 1)
        self.log("learning_rate", self.optimiser.learning_rate * schedule.factor(self.current_epoch + 0.5))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log accuracy, macro-F1 and cross-entropy against the labels, for one crop without augmentation.

        With votes, log ``val_perceived`` too: the share of faces whose predicted perceived emotion is that of most
        annotators.
        """
        output = self.model(_channels_last(batch.images))
        logits = output.logits.float()
        self.accuracy(logits, batch.labels)
        self.macro_f1(logits, batch.labels)
        loss = torch.nn.functional.cross_entropy(logits, batch.labels)
        self.log("val_loss", loss, sync_dist=True, batch_size=len(batch.labels))
        self.log("val_accuracy", self.accuracy, prog_bar=True)
        self.log("val_macro_f1", self.macro_f1)
        if output.perceived_logits is None or batch.perceived is None:
            return
        seen = batch.perceived.sum(dim=1) > 0
        if seen.any():
            agrees = (output.perceived_logits.argmax(dim=1) == batch.perceived.argmax(dim=1))[seen].float().mean()
            self.log("val_perceived", agrees, sync_dist=True, batch_size=int(seen.sum()))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See :func:`cmaen.training.optimisation.build_optimisers`."""
        return build_optimisers(self.optimiser, self, pretrained=[f"model.{role}" for role in self.pretrained])

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """See :func:`cmaen.training.optimisation.clip_gradient`."""
        clip_gradient(self.optimiser, self)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
