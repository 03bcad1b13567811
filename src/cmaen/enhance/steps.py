"""The enhancement steps: SwinIR enlarges fourfold, DDColor adds colour.

spandrel builds the authors' networks, in whatever variant a weights file holds, and the light SwinIR of this package;
only tensors are ever unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.data.restoration import Faces, grey_of
from cmaen.enhance.colour import colour, lightness_of
from cmaen.enhance.light import LightDDColor, quiet
from cmaen.enhance.onnx import OpenSession, open_shipped
from cmaen.enhance.recipe import Step
from cmaen.enhance.weights import find_weights
from cmaen.errors import CheckpointError, ConfigError, MissingExtraError
from cmaen.files import sha256
from cmaen.models.backbones.base import fill, read_state_dict

CPU = torch.device("cpu")


class SuperResolution:
    """Super-resolution by SwinIR (Liang et al., 2021).

    Args:
        weights: File of any of its super-resolution variants: classical, lightweight, real-world; ``.pth`` or
            safetensors.
        bfloat16: Whether to compute in bfloat16 where that is precise enough; faster on processors that support it, far
            slower on others.
        device: Device to run on.

    Raises:
        CheckpointError: The file is missing or damaged, or belongs to another network.
    """

    name = "super-resolution"

    def __init__(self, weights: Path, *, bfloat16: bool = False, device: torch.device = CPU) -> None:
        from spandrel.architectures.SwinIR import SwinIRArch

        self.weights = sha256(weights)
        self._network = _authors_network(_state(weights), SwinIRArch(), weights, self.name).to(device)
        self._bfloat16, self._device = bfloat16, device

    @torch.inference_mode()
    def __call__(self, faces: Faces) -> Faces:
        """Enhance a batch, see :class:`Step`."""
        images = torch.from_numpy(faces).to(self._device).permute(0, 3, 1, 2) / 255  # [B, H, W, 3] -> [B, 3, H, W]
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            return _as_faces(self._network(images))


class Colorization:
    """Colourisation by DDColor (Kang et al., 2023): only chroma is predicted; see :func:`cmaen.enhance.colour.colour`.

    Args:
        weights: File of :class:`cmaen.enhance.light.LightDDColor` or any of the authors' variants, ``.pth`` or
            safetensors.
        bfloat16, device: See :class:`SuperResolution`.

    Raises:
        CheckpointError: The file is missing or damaged, or belongs to another network.
        MissingExtraError: The package of its architecture is not installed.
    """

    name = "colorization"

    def __init__(self, weights: Path, *, bfloat16: bool = False, device: torch.device = CPU) -> None:
        self.weights = sha256(weights)
        state = _state(weights)
        if LightDDColor.QUERIES in state:
            self._network: nn.Module = LightDDColor()
            fill(self._network, state, self.name, weights)
            self._network.eval()
        else:
            self._network = _authors_network(state, _ddcolor(), weights, self.name)
        self._side: Any = self._network.input_size
        self._network.to(device)
        self._bfloat16, self._device = bfloat16, device

    @torch.inference_mode()
    def __call__(self, faces: Faces) -> Faces:
        """Colourise a batch, see :class:`Step`."""
        lightness = lightness_of(faces)
        grey = np.stack([grey_of(light) for light in lightness])
        images = torch.from_numpy(grey).to(self._device).permute(0, 3, 1, 2)  # [B, H, W, 3] -> [B, 3, H, W]
        small = F.interpolate(images, size=self._side, mode="bilinear", antialias=True)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            chroma: Tensor = self._network(small).float()
        chroma = F.interpolate(chroma, size=faces.shape[1:3], mode="bilinear")
        return colour(lightness, chroma.permute(0, 2, 3, 1).cpu().numpy())


STEPS: Mapping[str, Callable[..., Step]] = {"super-resolution": SuperResolution, "colorization": Colorization}
"""The steps by name."""


def build_chain(
    names: Sequence[str],
    weights: Mapping[str, str | None],
    *,
    bfloat16: bool = False,
    device: torch.device = CPU,
    open_session: OpenSession | None = None,
) -> list[Step]:
    """Build the steps of a chain, in order.

    Args:
        names: Names of :data:`STEPS`.
        weights: A file or a published name for a step; default: the weights of the package.
        bfloat16, device: See :class:`SuperResolution`.
        open_session: Opens a session of ONNX Runtime, which then runs the weights of the package on the CPU: exactly as
            prediction does, and faster than PyTorch in bfloat16. ``None``: PyTorch runs all steps.

    Raises:
        ConfigError: A step does not exist, there is none at all, or its weights cannot be obtained.
        CheckpointError: A file is missing or damaged, or belongs to another network.
    """
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        raise ConfigError(f"{unknown or 'no steps'}: choose from the steps {', '.join(STEPS)}")

    def build(name: str) -> Step:
        if open_session is not None and device.type == "cpu" and weights.get(name) is None:
            step = open_shipped(name, open_session)
            if step is not None:
                return step
        return STEPS[name](find_weights(name, weights.get(name)), bfloat16=bfloat16, device=device)

    return list(map(build, names))


def _ddcolor() -> Any:
    try:
        from spandrel_extra_arches.architectures.DDColor import DDColorArch
    except ModuleNotFoundError as error:
        raise MissingExtraError("colorization with the authors' weights", "enhance") from error
    return DDColorArch()


def _state(weights: Path) -> dict[str, Any]:
    """Read the tensors of a file, in float32."""
    state: dict[str, Any] = dict(read_state_dict(weights))
    for key in ("params_ema", "params"):  # the authors' training scripts nest them like this
        nested = state.get(key)
        if isinstance(nested, dict):
            state = nested
            break
    return {
        name: value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in state.items()
    }


def _authors_network(state: dict[str, Any], architecture: Any, weights: Path, step: str) -> nn.Module:
    try:
        if not architecture.detect(state):
            raise CheckpointError(f"{weights} does not hold {architecture.name}, which {step} requires")
        with quiet():
            network: nn.Module = architecture.load(state).model
    except (RuntimeError, KeyError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(f"{weights} cannot be used for {step}: {error}") from error
    return network.eval()


def _as_faces(images: Tensor) -> Faces:
    """Convert [B, 3, H, W] in [0, 1] to uint8 [B, H, W, 3]."""
    return (images.float().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
