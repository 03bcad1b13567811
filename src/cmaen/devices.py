"""The devices of PyTorch: the processor, or a GPU."""

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
"""Pattern of the names of devices: ``auto`` is a GPU if there is one, ``cuda`` any CUDA GPU, ``mps`` Apple's."""


def torch_device(name: str) -> torch.device:
    """Return the device of a name.

    Raises:
        ConfigError: The name is not valid, or the device does not exist here.
    """
    import torch  # imported here because names are checked without PyTorch too

    if not re.fullmatch(DEVICES, name):
        raise ConfigError(f"{name!r} is not a device; choose auto, cpu, cuda, cuda:1 (the second) or mps")
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, there in found.items() if there), "cpu"))
    device = torch.device(name)
    if not found.get(device.type, True):
        raise ConfigError(f"the device is {name}, but PyTorch {torch.__version__} finds no such GPU here; use cpu")
    if device.index and device.index >= torch.cuda.device_count():
        raise ConfigError(f"there is no {name}: PyTorch finds {torch.cuda.device_count()} GPU(s), starting with cuda:0")
    return device


@contextmanager
def torch_threads(threads: int | None = None) -> Iterator[None]:
    """Set PyTorch's number of threads inside the block, and restore it afterwards.

    The number belongs to the process, and the rounding of sums depends on it: if it were not restored, later training
    would change.

    Args:
        threads: Number of threads; ``None`` for PyTorch's own, reduced to the usable cores if these are fewer.
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
