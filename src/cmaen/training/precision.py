"""The arithmetic precision of a run, chosen by what its processor or GPU is fast at."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch

from cmaen.errors import ConfigError

_BFLOAT16 = ("avx512_bf16", "amx_bf16")
_SLOW = (
    "bf16-mixed on a processor with neither avx512_bf16 nor amx_bf16 is slower than 32-true (10 to 20 times without "
    "AVX-512: 6 against 111 images/s for MobileNetV1 at 96 pixels), because oneDNN emulates bfloat16"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware of a run.

    Attributes:
        kind: A CPU, CUDA GPUs, or an Apple GPU.
        processor: Capabilities of the CPU, by the names of ``torch.cpu.get_capabilities``.
        compute: CUDA compute capability of the weakest GPU, major and minor.
    """

    kind: Literal["cpu", "cuda", "mps"]
    processor: Mapping[str, object] = field(default_factory=dict)
    compute: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, device: torch.device) -> Hardware:
        """Return the hardware of a device on this machine; of all GPUs if the device has no number."""
        if device.type == "mps":
            return cls("mps")
        if device.type == "cuda":
            gpus = range(torch.cuda.device_count()) if device.index is None else [device.index]
            return cls("cuda", compute=min(torch.cuda.get_device_capability(gpu) for gpu in gpus))
        return cls("cpu", processor_capabilities())


class Choice(NamedTuple):
    """A precision, by Lightning's name for it, and the reason for it."""

    precision: str
    reason: str


def automatic(hardware: Hardware) -> Choice:
    """Choose the fastest precision that trains as well as float32 does."""
    if hardware.kind == "cuda":
        capability = "compute capability {}.{}".format(*hardware.compute)
        if hardware.compute >= (8, 0):
            return Choice("bf16-mixed", f"the GPU has {capability} and therefore bfloat16")
        return Choice("16-mixed", f"the GPU has {capability} and therefore float16, but not bfloat16")
    if hardware.kind == "mps":
        return Choice("32-true", "the GPU is Apple's")
    if found := [name for name in _BFLOAT16 if hardware.processor.get(name)]:
        return Choice("bf16-mixed", f"the processor has {' and '.join(found)}")
    return Choice("32-true", f"the processor has neither {' nor '.join(_BFLOAT16)}")


def choose(asked: str, hardware: Hardware, *, began: str | None = None) -> Choice:
    """Choose the precision of a run.

    Args:
        asked: The configured precision; ``auto`` leaves the choice to :func:`automatic`.
        hardware: Hardware of the run.
        began: Precision of the run that is resumed, which it keeps, even on other hardware.
    """
    if began is not None:
        return Choice(began, "as the run began")
    return automatic(hardware) if asked == "auto" else Choice(asked, "as configured")


def precision_of(asked: str, device: torch.device, *, began: str | None = None, say: bool = True) -> str:
    """Choose the precision of a run on this machine, and log it with any objection to it.

    Args:
        asked, began: See :func:`choose`.
        device: Device of the run.
        say: Whether this process logs on behalf of all.

    Raises:
        ConfigError: This machine cannot train in it.
    """
    hardware = Hardware.of(device)
    choice = choose(asked, hardware, began=began)
    against = objection(choice.precision, hardware)
    if say:
        log.info("precision %s: %s", *choice)
        if against:
            log.warning("%s", against)
    return choice.precision


def objection(precision: str, hardware: Hardware) -> str | None:
    """Return the objection to training in a precision; ``None`` if there is none.

    Raises:
        ConfigError: The hardware cannot train in it.
    """
    if hardware.kind != "cpu":
        return None
    if precision == "16-mixed":
        raise ConfigError(
            "16-mixed trains on GPUs only; on a CPU set training.precision to auto, bf16-mixed or 32-true"
        )
    slow = precision == "bf16-mixed" and automatic(hardware).precision != precision
    return _SLOW if slow else None


def processor_capabilities() -> Mapping[str, object]:
    """Return the capabilities of this CPU, such as ``{"avx2": True, "avx512_bf16": False}``."""
    if hasattr(torch.cpu, "get_capabilities"):
        return dict(torch.cpu.get_capabilities())
    return {  # older versions of PyTorch
        "avx512_bf16": torch.cpu._is_avx512_bf16_supported(),
        "amx_bf16": torch.cpu._is_amx_tile_supported(),
    }
