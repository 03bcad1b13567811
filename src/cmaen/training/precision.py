"""The arithmetic of a run: what the processor or the GPU that it runs on is fast at."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch

from cmaen.errors import ConfigError

_BFLOAT16 = ("avx512_bf16", "amx_bf16")
_SLOW = (
    "bf16-mixed on a processor with neither avx512_bf16 nor amx_bf16 is slower than 32-true, 10 to 20 times without "
    "AVX-512 (6 against 111 images/s for MobileNetV1 at 96 pixels), for oneDNN has to emulate bfloat16"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a run runs on.

    Attributes:
        kind: A CPU, GPUs of CUDA, or a GPU of Apple's.
        processor: What the CPU can, by the names of ``torch.cpu.get_capabilities``.
        compute: CUDA's compute capability, major and minor; that of the weakest GPU.
    """

    kind: Literal["cpu", "cuda", "mps"]
    processor: Mapping[str, object] = field(default_factory=dict)
    compute: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, device: torch.device) -> Hardware:
        """This machine's, of a device; of all GPUs where it names none of them."""
        if device.type == "mps":
            return cls("mps")
        if device.type == "cuda":
            gpus = range(torch.cuda.device_count()) if device.index is None else [device.index]
            return cls("cuda", compute=min(torch.cuda.get_device_capability(gpu) for gpu in gpus))
        return cls("cpu", processor_capabilities())


class Choice(NamedTuple):
    """A precision, by Lightning's name for it, and why it is taken."""

    precision: str
    reason: str


def automatic(hardware: Hardware) -> Choice:
    """The fastest precision that trains as well as float32 does."""
    if hardware.kind == "cuda":
        capability = "compute capability {}.{}".format(*hardware.compute)
        if hardware.compute >= (8, 0):
            return Choice("bf16-mixed", f"the GPU has {capability}, and so bfloat16")
        return Choice("16-mixed", f"the GPU has {capability}, and so float16 but no bfloat16")
    if hardware.kind == "mps":
        return Choice("32-true", "the GPU is Apple's")
    if found := [name for name in _BFLOAT16 if hardware.processor.get(name)]:
        return Choice("bf16-mixed", f"the processor has {' and '.join(found)}")
    return Choice("32-true", f"the processor has neither {' nor '.join(_BFLOAT16)}")


def choose(asked: str, hardware: Hardware, *, began: str | None = None) -> Choice:
    """The precision of a run.

    Args:
        asked: By the configuration; ``auto`` leaves it to :func:`automatic`.
        hardware: What the run runs on.
        began: What a run that is resumed was in until now; it goes on in it, also on other hardware.
    """
    if began is not None:
        return Choice(began, "as the run began")
    return automatic(hardware) if asked == "auto" else Choice(asked, "as configured")


def precision_of(asked: str, device: torch.device, *, began: str | None = None, say: bool = True) -> str:
    """The precision of a run on this machine, said on the log with what speaks against it.

    Args:
        asked, began: See :func:`choose`.
        device: That it trains on.
        say: Whether this process speaks for all.

    Raises:
        ConfigError: It cannot train here.
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
    """What speaks against training in a precision; ``None`` where nothing does.

    Raises:
        ConfigError: It cannot train there.
    """
    if hardware.kind != "cpu":
        return None
    if precision == "16-mixed":
        raise ConfigError("16-mixed trains on GPUs only; on a CPU take training.precision auto, bf16-mixed or 32-true")
    slow = precision == "bf16-mixed" and automatic(hardware).precision != precision
    return _SLOW if slow else None


def processor_capabilities() -> Mapping[str, object]:
    """What this CPU can, like ``{"avx2": True, "avx512_bf16": False}``."""
    if hasattr(torch.cpu, "get_capabilities"):
        return dict(torch.cpu.get_capabilities())
    return {  # older versions of PyTorch
        "avx512_bf16": torch.cpu._is_avx512_bf16_supported(),
        "amx_bf16": torch.cpu._is_amx_tile_supported(),
    }
