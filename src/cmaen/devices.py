"""What PyTorch computes on: the processor, or a GPU."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cmaen.errors import ConfigError
from cmaen.resources import usable_cores

if TYPE_CHECKING:
    import torch

DEVICES = "auto|cpu|cuda(:[0-9]+)?|mps"
"""The names of devices, as a pattern: ``auto`` is a GPU where there is one, ``cuda`` any of CUDA's, ``mps`` Apple's."""


def torch_device(name: str) -> torch.device:
    """The device of a name; see :func:`bound_torch`, which it does first.

    Raises:
        ConfigError: There is no such name, or no such device here.
    """
    import torch  # here, for the names are checked where PyTorch is not installed too

    if not re.fullmatch(DEVICES, name):
        raise ConfigError(f"{name!r} is not a device; choose auto, cpu, cuda, cuda:1 (the second) or mps")
    bound_torch()
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, there in found.items() if there), "cpu"))
    device = torch.device(name)
    if not found.get(device.type, True):
        raise ConfigError(f"the device is {name}, and PyTorch {torch.__version__} finds no such GPU here; cpu works")
    if device.index and device.index >= torch.cuda.device_count():
        raise ConfigError(f"there is no {name}: PyTorch finds {torch.cuda.device_count()} GPU(s), cuda:0 the first")
    return device


def bound_torch() -> None:
    """Let PyTorch, whose threads belong to the whole process, start no more of them than there are cores to use."""
    import torch

    cores = usable_cores()
    if torch.get_num_threads() > cores:
        torch.set_num_threads(cores)
