"""Training of the light enhancement networks, with the same loop as the emotion network."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.functional.image import peak_signal_noise_ratio

from cmaen.data.restoration import Faces, Pairs, grey_and_chroma, load_colour_faces, small_and_large
from cmaen.devices import torch_device, torch_threads
from cmaen.enhance.export import export_step
from cmaen.enhance.light import COLOUR_SIDE, LightDDColor, light_swinir
from cmaen.errors import ConfigError
from cmaen.files import replace_file, write_text
from cmaen.locks import hold
from cmaen.training.batches import InOrder, Picks, ShuffledPicks
from cmaen.training.checkpoints import read_run_state
from cmaen.training.config import EnhancerConfig, load_enhancer_config
from cmaen.training.loop import BEST, check_run, fit
from cmaen.training.optimisation import OptimiserSpec, build_optimisers, clip_gradient
from cmaen.training.precision import precision_of

_CONFIG = "config.json"
_CHROMA = 50.0
_SATURATION = 0.3
_QUALITY = "val_quality"


class PairBatch(NamedTuple):
    """A batch of :class:`cmaen.data.restoration.Pairs`, as tensors."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Task:
    """The training task of an enhancement step.

    Attributes:
        network: Builds the network.
        pairs: Makes pairs of faces, see :mod:`cmaen.data.restoration`.
        loss: Loss of outputs against targets.
        quality: Quality of outputs against targets, higher is better; it chooses the epoch.
    """

    network: Callable[[], nn.Module]
    pairs: Callable[[Faces, np.random.Generator | None], Pairs]
    loss: Callable[[Tensor, Tensor], Tensor]
    quality: Callable[[Tensor, Tensor], Tensor]


def _colour_loss(answers: Tensor, targets: Tensor) -> Tensor:
    """Compute the mean error of the chroma, plus that of its strength over a face, without which colours turn pale."""
    strength, wanted = (torch.linalg.vector_norm(chroma, dim=1).mean(dim=(1, 2)) for chroma in (answers, targets))
    return (F.l1_loss(answers, targets) + _SATURATION * F.l1_loss(strength, wanted)) / _CHROMA


def _decibels(answers: Tensor, targets: Tensor) -> Tensor:
    return peak_signal_noise_ratio(
        answers.clamp(0, 1), targets, data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean"
    )


TASKS = {
    "super-resolution": Task(light_swinir, small_and_large, F.l1_loss, _decibels),
    "colorization": Task(
        LightDDColor,
        partial(grey_and_chroma, side=COLOUR_SIDE),
        _colour_loss,
        lambda answers, targets: -F.l1_loss(answers, targets),
    ),
}
"""The training tasks by the name of the step."""


class PairBatches(Dataset[PairBatch]):
    """A dataset of whole batches of faces in memory: ``dataset[picks]``."""

    def __init__(self, faces: Faces, task: Task, *, varied: bool) -> None:
        self.faces = faces
        self.task = task
        self.varied = varied

    def __getitem__(self, picks: Picks) -> PairBatch:
        rng = np.random.default_rng(picks.seed) if self.varied else None
        return PairBatch(*map(torch.from_numpy, self.task.pairs(self.faces[picks.indices.numpy()], rng)))


class EnhancerModule(pl.LightningModule):
    """Trains an enhancement network."""

    def __init__(self, task: Task, optimiser: OptimiserSpec) -> None:
        super().__init__()
        self.network = task.network()
        self.task = task
        self.optimiser = optimiser

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Compute the loss of one batch."""
        loss = self.task.loss(self.network(batch.inputs).float(), batch.targets)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch.inputs))
        return loss

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        """Log the quality on the held-out faces."""
        quality = self.task.quality(self.network(batch.inputs).float(), batch.targets)
        self.log(_QUALITY, quality, prog_bar=True, batch_size=len(batch.inputs))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See :func:`cmaen.training.optimisation.build_optimisers`."""
        return build_optimisers(self.optimiser, self)

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """See :func:`cmaen.training.optimisation.clip_gradient`."""
        clip_gradient(self.optimiser, self)


def train_enhancer(config: EnhancerConfig, *, resume: bool = False) -> Path:
    """Train a light enhancement network.

    Args:
        config: Configuration of the run.
        resume: Resume the run in ``config.output`` from its last complete epoch.

    Returns:
        The weights of the best epoch on the held-out faces, ``<output>/<step>.safetensors``, in float16. Beside them,
        an ONNX file of the same name runs without PyTorch, and a text file describes the training data.

    Raises:
        CmaenError: The faces cannot be read, there is nothing to resume, or ``config.output`` holds another run.
    """
    check_run(config.output, config.training, resume)
    leads = not rank_zero_only.rank  # type: ignore[attr-defined]
    with hold(config.output) if leads else nullcontext(), torch_threads():
        return _train(config, resume=resume)


def _train(config: EnhancerConfig, *, resume: bool) -> Path:
    settings, task = config.training, TASKS[config.step]
    check_run(config.output, settings, resume)  # another process may just have ended
    precision = precision_of(settings.precision, torch_device(settings.device))
    stated = config.output / _CONFIG
    if resume and load_enhancer_config(stated, {}) != config:
        raise ConfigError(f"{config.output} holds a run of another configuration; choose another folder")
    write_text(stated, config.model_dump_json(indent=2))
    pl.seed_everything(config.seed, verbose=False)
    faces, held_out = (load_colour_faces(config.data, held_out=part) for part in (False, True))
    module = EnhancerModule(task, config.optimiser)
    picks = ShuffledPicks(len(faces), settings.batch_size, config.seed)
    fit(
        module,
        DataLoader(PairBatches(faces, task, varied=True), sampler=picks, batch_size=None),
        DataLoader(PairBatches(held_out, task, varied=False), sampler=InOrder(len(held_out), 16), batch_size=None),
        settings,
        monitored=_QUALITY,
        precision=precision,
        output=config.output,
        resume=resume,
    )
    best = read_run_state(config.output / f"{BEST}.ckpt")
    prefix = "network."
    state = {
        name.removeprefix(prefix): value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for name, value in best["state_dict"].items()
        if name.startswith(prefix)
    }
    path = config.output / f"{config.step}.safetensors"
    with replace_file(path, foreign=(SafetensorError,)) as temporary:
        save_file(state, temporary)
    export_step(config.step, path, path.with_suffix(".onnx"))
    about = {
        "step": config.step,
        "faces": len(faces),
        "data": [folder.name for folder in config.data],
        "epochs": best["epoch"] + 1,
        "seed": config.seed,
        "optimiser": config.optimiser.model_dump(mode="json"),
        "training": settings.model_dump(mode="json") | {"precision": precision},
    }
    write_text(path.with_suffix(".json"), json.dumps(about, indent=2) + "\n")
    return path
