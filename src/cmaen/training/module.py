"""The Lightning module: one step of training, one of validation, the optimiser and its schedule."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from cmaen.losses import LossWeights, cmaen_loss
from cmaen.models.network import EmotionNetwork
from cmaen.training.batches import Batch, derived_seed
from cmaen.training.optimisation import Optimisation
from cmaen.types import EMOTIONS


class EmotionModule(LightningModule):
    """Trains a network of the emotions.

    Args:
        model: The network.
        loss_weights: Of the terms of the loss.
        optimisation: Of its parameters.
        seed: Of what is random in the network, like dropout.
        classes: Of its answers.
    """

    def __init__(
        self,
        model: EmotionNetwork,
        *,
        loss_weights: LossWeights,
        optimisation: Optimisation,
        seed: int,
        classes: int = len(EMOTIONS),
    ) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.loss_weights = loss_weights
        self.optimisation = optimisation
        self.seed = seed
        self.accuracy = MulticlassAccuracy(classes, average="micro")
        self.macro_f1 = MulticlassF1Score(classes, average="macro")

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Every step has its own randomness, so a resumed run goes on alike."""
        torch.manual_seed(derived_seed(self.seed, self.global_step, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        output = self.model(_channels_last(batch.images))
        loss = cmaen_loss(output, batch.targets, self.loss_weights, batch.answers, batch.perceived)
        count = len(batch.labels)
        hits = (output.logits.argmax(dim=1) == batch.labels).float().mean()
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=count)
        self.log("train_accuracy", hits, on_step=False, on_epoch=True, sync_dist=True, batch_size=count)
        return loss

    def on_train_epoch_end(self) -> None:
        """Note the learning rate that the epoch had in its middle."""
        rate = self.optimisation.learning_rate * self.optimisation.schedule.factor(self.current_epoch + 0.5)
        self.log("learning_rate", rate)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Accuracy, macro-F1 and cross-entropy against the labels, one crop and no augmentation.

        With votes also ``val_perceived``, the part of the faces whose perceived emotion is that of most annotators.
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
        """See :class:`Optimisation`."""
        return self.optimisation.optimizers(self)

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """See :class:`Optimisation`."""
        self.optimisation.clip_gradient(self)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
