"""What PyTorch computes on: the processor, or a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cmaen.errors import ConfigError
from cmaen.resources import usable_cores

if TYPE_CHECKING:
    import torch

DEVICES = "auto|cpu|cuda(:[0-9]+)?|mps"
"""The names of devices, as a pattern: ``auto`` is a GPU where there is one, ``cuda`` any of CUDA's, ``mps`` Apple's."""


def torch_device(name: str) -> torch.device:
    """The device of a name.

    Raises:
        ConfigError: There is no such name, or no such device here.
    """
    import torch  # here, for the names are checked where PyTorch is not installed too

    if not re.fullmatch(DEVICES, name):
        raise ConfigError(f"{name!r} is not a device; choose auto, cpu, cuda, cuda:1 (the second) or mps")
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, there in found.items() if there), "cpu"))
    device = torch.device(name)
    if not found.get(device.type, True):
        raise ConfigError(f"the device is {name}, and PyTorch {torch.__version__} finds no such GPU here; cpu works")
    if device.index and device.index >= torch.cuda.device_count():
        raise ConfigError(f"there is no {name}: PyTorch finds {torch.cuda.device_count()} GPU(s), cuda:0 the first")
    return device


@contextmanager
def torch_threads(threads: int | None = None) -> Iterator[None]:
    """Let PyTorch compute on so many threads in this block, and as before after it.

    Their number belongs to the process, and sums round by it: who sets it and leaves it changes what is trained later.

    Args:
        threads: ``None`` for those that PyTorch has, or as many as the cores that may be used where they are fewer.
    """
    import torch

    before = torch.get_num_threads()
    wanted = threads or min(before, usable_cores())
    if wanted == before:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
