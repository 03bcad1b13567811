"""How long a run will take, said before it begins: a few batches are timed on a copy of the network."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader

from cmaen.devices import torch_threads
from cmaen.drawing.lettering import write_count
from cmaen.resources import usable_cores
from cmaen.training.batches import InOrder, ShuffledPicks

DAY = 24 * 3600.0
"""Seconds; a run that takes longer is warned of."""
_FEW = 8
"""Faces of the first batch that are stepped with; where even these are slow, whole batches are not waited for."""
_MOST_BATCHES, _MOST_SECONDS = 8, 5.0
_PART = 50
"""Batches of a run for each one that is timed, at least, so that a short run is not kept waiting."""
_FORWARD = 1 / 3
"""Share of a step that its forward pass takes, as validation does: each of the two gradients costs as much."""
_TYPES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expected duration of a run.

    Attributes:
        epoch: Seconds that an epoch takes, with its validation.
        epochs: Epochs that are left.
    """

    epoch: float
    epochs: int

    @property
    def total(self) -> float:
        """Seconds that the run takes, if it does not stop early."""
        return self.epoch * self.epochs

    def __str__(self) -> str:
        return f"{write_count(self.epochs, 'epoch')} of {write_duration(self.epoch)}"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions under which a step of a run is computed.

    Attributes:
        device: Device that computes.
        precision: Lightning's name for the precision.
        local: Processes of the run on this machine, which share its cores.
        processes: Processes of the run on all machines, which share each batch.
    """

    device: torch.device
    precision: str
    local: int = 1
    processes: int = 1


def foresee(
    module: LightningModule,
    training: DataLoader[Any],
    validation: DataLoader[Any],
    epochs: int,
    conditions: Conditions,
    *,
    now: Callable[[], float] = time.perf_counter,
) -> Forecast | None:
    """Time a few training steps, and compute from them how long a run takes; ``None`` for one of very few batches.

    The run itself stays as it is: a copy of the module takes the steps, and random numbers are drawn as if it had not.

    Args:
        module: The module that will be trained.
        training, validation: Its loaders, with samplers of :mod:`cmaen.training.batches`.
        epochs: Epochs that are left.
        conditions: Conditions of a step.
        now: Function that returns the time in seconds.
    """
    count = min(_MOST_BATCHES, len(training) * epochs // _PART)
    if count < 1:
        return None
    assert isinstance(training.sampler, ShuffledPicks)
    assert isinstance(validation.sampler, InOrder)
    device, local = conditions.device, conditions.local
    # as Lightning divides the cores among the processes that it starts
    threads = max(1, usable_cores() // local) if local > 1 and "OMP_NUM_THREADS" not in os.environ else None
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch_threads(threads):
        times = list(_time_steps(module, training, count, conditions, now))
    step = median(times[1:] or times)  # the first is reckoned from a few faces
    validated = validation.sampler.count / training.sampler.count
    return Forecast(step * len(training) * (1 + _FORWARD * validated), epochs)


def say_duration(seconds: float, parts: str, savings: Sequence[str]) -> None:
    """Log how long something takes; above a day as a warning that says how to shorten it.

    Args:
        seconds: Expected duration.
        parts: Its parts, such as ``18 epochs of 4 minutes``.
        savings: Nouns that name what takes less, such as ``fewer epochs``.
    """
    text = f"about {write_duration(seconds)} to go on this machine: {parts}"
    if seconds <= DAY:
        log.info("%s", text)
        return
    *others, last = savings
    log.warning("%s. What takes less: %s", text, f"{', '.join(others)}, or {last}" if others else last)


def write_duration(seconds: float) -> str:
    """Write a rough duration in words: ``40 seconds``, ``12 minutes``, ``3.5 hours``, ``11 days``."""
    if seconds < 90:
        return write_count(round(seconds), "second") if seconds >= 0.5 else "less than a second"
    for unit, length, most in (("minutes", 60, 90), ("hours", 3600, 36)):
        if seconds < most * length:
            return f"{_round(seconds / length)} {unit}"
    return f"{_round(seconds / DAY)} days"


def _round(number: float) -> str:
    """Write a number of at least 1.5 with a tenth where that says something."""
    return f"{number:.0f}" if number >= 9.95 else f"{number:.1f}".removesuffix(".0")


def _time_steps(
    module: LightningModule,
    batches: DataLoader[Any],
    count: int,
    conditions: Conditions,
    now: Callable[[], float],
) -> Iterator[float]:
    """Yield the seconds of each step, with its loading; the optimiser's part is small.

    Those of the first step are reckoned from a few of its faces, after others of as many have set up the kernels.
    """
    device = conditions.device
    copy = deepcopy(module).to(device)
    copy.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer

    def step(batch: Any) -> float:
        """Return the seconds of a step without its loading."""
        start = now()
        copy.zero_grad()
        with _arithmetic(device, conditions.precision):
            loss = copy.training_step(batch, 0)
        loss.backward()  # type: ignore[union-attr]
        _wait_for(device)
        return now() - start

    began = start = now()
    for number, batch in enumerate(islice(batches, count)):
        every = slice(None, None, conditions.processes)  # as the run shares its batches
        own = copy.transfer_batch_to_device(_take(batch, every), device, 0)
        loading = now() - start
        if number == 0:
            few = _take(own, slice(_FEW))
            step(few)
            seconds = loading + step(few) * len(own[0]) / len(few[0])
        else:
            seconds = loading + step(own)
        yield seconds
        start = now()
        if max(seconds, start - began) > _MOST_SECONDS:
            return


def _take(batch: Any, faces: slice) -> Any:
    """Take some faces of a batch, which is a named tuple of tensors."""
    return type(batch)(*(part if part is None else part[faces] for part in batch))


def _arithmetic(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    kind = _TYPES.get(precision)
    return nullcontext() if kind is None else torch.autocast(device.type, kind)


def _wait_for(device: torch.device) -> None:
    """Wait for a GPU, which computes while the processor goes on."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
