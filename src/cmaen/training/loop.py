"""The loop of every training run: Lightning with resumable checkpoints, logs, averaged weights and processes."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    WeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from pydantic import Field, ValidationInfo, field_validator
from torch.utils.data import DataLoader

from cmaen.devices import DEVICES, torch_device
from cmaen.errors import CheckpointError, ConfigError
from cmaen.files import unwritable
from cmaen.spec import Spec, require_none
from cmaen.training.averaging import warm_average
from cmaen.training.callbacks import EpochLog, Figures, Pace
from cmaen.training.checkpoints import PlainCheckpoints, read_run_state
from cmaen.training.forecast import Conditions, foresee, say_duration
from cmaen.training.progress import RunProgress

LAST = "last.ckpt"
BEST = "best"

log = logging.getLogger(__name__)


class LoopSpec(Spec):
    """The training loop and its devices; the defaults are the paper's."""

    epochs: int = Field(150, ge=1, description="Maximum number of epochs; early stopping may end the run sooner.")
    batch_size: int = Field(64, ge=2, description="Faces in a batch, over all processes.")
    keep: Literal["best", "last"] = Field(
        "best",
        description="Epoch whose weights are kept: the best one on validation, or the last one, which needs no choice.",
    )
    patience: int = Field(15, ge=1, description="Epochs without improvement on validation before the run ends.")
    devices: int = Field(1, ge=1, description="Processes per machine, one for each GPU or share of the CPU cores.")
    nodes: int = Field(1, ge=1, description="Number of machines. torchrun overrides nodes and devices.")
    device: str = Field(
        "auto",
        pattern=f"^({DEVICES})$",
        description="Device to run on: cpu, cuda, cuda:1 (the second GPU), mps or auto (a GPU if there is one). The "
        "faces are kept there too.",
    )
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto", description="Precision of the arithmetic; auto chooses what is fast on this processor or GPU."
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay of the averaged weights, which are validated and kept; it warms up to this value. null: no "
        "averaging.",
    )
    frozen_stages: int = Field(0, ge=0, description="Number of the trunk's first stages to freeze.")

    @field_validator("device")
    @classmethod
    def _can_be_shared_out(cls, device: str, info: ValidationInfo) -> str:
        given = info.data
        if {"batch_size", "devices", "nodes"} <= given.keys() and not torch.distributed.is_torchelastic_launched():
            processes = given["devices"] * given["nodes"]
            require_none(find_misshares(given["batch_size"], device, given["devices"], processes))
        return device


def find_misshares(batch_size: int, device: str, devices: int, processes: int) -> Iterator[str]:
    """Find why a batch cannot be divided among the processes of a run.

    Args:
        batch_size: Faces in a batch, over all processes.
        device: Name of the device.
        devices: Processes on each machine.
        processes: Processes on all machines.
    """
    if batch_size % processes:
        yield f"a batch of {batch_size} cannot be divided evenly among {processes} processes"
    if ":" in device and devices > 1:
        yield f"{devices} processes cannot share {device}; set the device to cuda, or use one process"


def check_run(output: Path, settings: LoopSpec, resume: bool) -> None:
    """Refuse a run that cannot start, before anything is read or written.

    Raises:
        CheckpointError: There is nothing to resume.
        ConfigError: The folder holds another run, or the batch cannot be divided evenly among the processes.
    """
    _processes(settings)
    last = output / LAST
    if resume and not last.is_file():
        raise CheckpointError(f"there is nothing to resume in {output}: no {LAST}")
    if last.is_file() and not resume:
        raise ConfigError(f"{output} already holds a run; add --resume to resume it, or choose another --output")


def fit(
    module: pl.LightningModule,
    training: DataLoader[Any],
    validation: DataLoader[Any],
    settings: LoopSpec,
    *,
    monitored: str,
    precision: str,
    output: Path,
    resume: bool,
    run: str | None = None,
    savings: Sequence[str] = (),
) -> pl.Trainer:
    """Train; ``output`` receives logs, the checkpoint that is best on validation, and the last one.

    How long it will take is logged before the first epoch.

    Args:
        module: The module to train.
        training, validation: Loaders of batches.
        settings: Settings of the loop.
        monitored: The logged figure whose maximum chooses the best epoch.
        precision: Lightning's name for the precision.
        output: Folder of the run.
        resume: Resume from the last checkpoint in the folder.
        run: Title of the run in its history; ``None``: no history is written.
        savings: What makes a run of more than a day shorter, besides the settings of the loop; see
            :func:`cmaen.training.forecast.say_duration`.

    Raises:
        CheckpointError: The last checkpoint is damaged, or holds more than plain data.
        OutputError: The folder cannot be written; the run can be resumed from its last complete epoch.
    """
    with _quiet_lightning(), _said_where_unwritable(output):
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            precision=precision,  # type: ignore[arg-type]
            plugins=[PlainCheckpoints()],
            default_root_dir=output,
            callbacks=_callbacks(settings, monitored, output, run),
            logger=[CSVLogger(output, name="logs"), TensorBoardLogger(output, name="tensorboard")],
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=False,  # ours shows the run
            log_every_n_steps=50,
            use_distributed_sampler=False,
            **_processes(settings),
        )
        if not rank_zero_only.rank:  # type: ignore[attr-defined]
            done = read_run_state(output / LAST)["epoch"] + 1 if resume else 0
            conditions = describe_conditions(settings, precision)
            if forecast := foresee(module, training, validation, settings.epochs - done, conditions):
                say_duration(forecast.total, str(forecast), [*savings, *list_savings(settings)])
        trainer.fit(module, training, validation, ckpt_path=output / LAST if resume else None, weights_only=True)
    if trainer.is_global_zero and trainer.current_epoch < settings.epochs:
        log.warning(
            "the run ended early, after epoch %d of %d: %s did not improve for %d epochs (training.patience)",
            trainer.current_epoch,
            settings.epochs,
            monitored,
            settings.patience,
        )
    return trainer


def describe_conditions(settings: LoopSpec, precision: str) -> Conditions:
    """Describe the conditions under which the steps of a run are computed; ``precision`` as in :func:`fit`."""
    local, machines = _count_processes(settings)
    return Conditions(torch_device(settings.device), precision, local, local * machines)


def list_savings(settings: LoopSpec) -> list[str]:
    """List the settings of the loop that make a run shorter, as nouns."""
    on_cpu = torch_device(settings.device).type == "cpu"
    return [f"fewer epochs (training.epochs is {settings.epochs})", *(["a GPU (training.device)"] if on_cpu else [])]


def _callbacks(settings: LoopSpec, monitored: str, output: Path, run: str | None) -> list[Callback]:
    callbacks: list[Callback] = [
        *([] if run is None else [Figures(output, run)]),
        ModelCheckpoint(output, filename=BEST, monitor=monitored, mode="max", enable_version_counter=False),
        ModelCheckpoint(output, filename=Path(LAST).stem, enable_version_counter=False),
        LearningRateMonitor("epoch"),
        Pace(settings.batch_size),
        EpochLog(monitored),
    ]
    if settings.keep == "best":
        callbacks.append(EarlyStopping(monitored, mode="max", patience=settings.patience))
    if settings.ema_decay is not None:
        callbacks.append(WeightAveraging(use_buffers=True, multi_avg_fn=warm_average(settings.ema_decay)))
    if sys.stderr.isatty():
        callbacks.append(RunProgress(monitored))
    return callbacks


def _processes(settings: LoopSpec) -> dict[str, Any]:
    """Return Lightning's settings of devices and nodes, from the configuration or from torchrun's environment.

    Raises:
        ConfigError: The device does not exist, or the batch cannot be divided evenly among the processes.
    """
    device = torch_device(settings.device)
    devices, nodes = _count_processes(settings)
    if found := list(find_misshares(settings.batch_size, str(device), devices, devices * nodes)):
        raise ConfigError("; ".join(found))
    return {
        "accelerator": device.type,
        "devices": devices if device.index is None else [device.index],
        "num_nodes": nodes,
        "strategy": "ddp" if devices * nodes > 1 else "auto",
    }


def _count_processes(settings: LoopSpec) -> tuple[int, int]:
    """Return the processes on each machine and the machines, of the configuration or of torchrun."""
    if not torch.distributed.is_torchelastic_launched():
        return settings.devices, settings.nodes
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    return local, int(os.environ["WORLD_SIZE"]) // local


@contextmanager
def _said_where_unwritable(output: Path) -> Iterator[None]:
    """Name the cause if logs cannot be written: a full disk or a missing folder. Nothing is read during training."""
    try:
        yield
    except OSError as error:
        raise unwritable(Path(error.filename or output), error) from error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice and advertisements off the terminal; its errors are exceptions."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        yield
