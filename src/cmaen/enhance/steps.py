"""The steps of enhancement: SwinIR gives four times the side, DDColor gives colour.

Both are built by spandrel from whatever variant the weights' file holds; nothing but tensors is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cmaen.errors import CheckpointError, ConfigError, MissingExtraError
from cmaen.files import sha256
from cmaen.models.backbones.base import read_state_dict

Faces = NDArray[np.uint8]
"""RGB, uint8 [B, H, W, 3]."""

OFFICIAL = {
    "super-resolution": (
        "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0/",
        "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth",
        "Apache-2.0",
    ),
    "colorization": ("https://huggingface.co/piddnad/DDColor-models", "ddcolor_modelscope.pth", "Apache-2.0"),
}
"""Where the authors' weights are, a file of theirs, and its licence; nothing is fetched by itself."""

_GAMUT_STEPS = 12


class Step(Protocol):
    """A step of the chain.

    Attributes:
        name: One of :data:`STEPS`.
        weights: SHA-256 of the weights' file.
    """

    name: str
    weights: str

    def __call__(self, faces: Faces) -> Faces:
        """RGB uint8 [B, H, W, 3] -> RGB uint8 [B, H', W', 3]."""
        ...


class SuperResolution:
    """SwinIR (Liang et al., 2021).

    Args:
        weights: Of any of its super-resolution variants: classical, lightweight, real-world; ``.pth`` or safetensors.

    Raises:
        CheckpointError: The file is missing or damaged, or of another network.
    """

    name = "super-resolution"

    def __init__(self, weights: Path) -> None:
        from spandrel.architectures.SwinIR import SwinIRArch

        self.weights, self._network = _loaded(weights, SwinIRArch(), self.name)

    @torch.inference_mode()
    def __call__(self, faces: Faces) -> Faces:
        """See :class:`Step`."""
        images = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255  # [B, H, W, 3] -> [B, 3, H, W]
        return _as_faces(self._network(images))


class Colorization:
    """DDColor (Kang et al., 2023): chroma alone is predicted, lightness stays as it is.

    Where a colour does not exist at a pixel's lightness, its chroma is lessened until it does.

    Args:
        weights: Of any of its variants, ``.pth`` or safetensors.

    Raises:
        CheckpointError: The file is missing or damaged, or of another network.
        MissingExtraError: The package of its architecture is not installed.
    """

    name = "colorization"

    def __init__(self, weights: Path) -> None:
        try:
            from spandrel_extra_arches.architectures.DDColor import DDColorArch
        except ModuleNotFoundError as error:
            raise MissingExtraError("colorization", "enhance") from error
        self.weights, self._network = _loaded(weights, DDColorArch(), self.name)
        self._side: Any = self._network.input_size

    @torch.inference_mode()
    def __call__(self, faces: Faces) -> Faces:
        """See :class:`Step`."""
        lightness = np.stack([cv2.cvtColor(face.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0] for face in faces])
        grey = np.stack([_rgb(light, np.zeros((*light.shape, 2), np.float32)) for light in lightness])
        images = torch.from_numpy(grey).permute(0, 3, 1, 2)  # [B, H, W, 3] -> [B, 3, H, W]
        small = F.interpolate(images, size=self._side, mode="bilinear", antialias=True)
        chroma: Tensor = F.interpolate(self._network(small).float(), size=faces.shape[1:3], mode="bilinear")
        found = [_in_gamut(light, ab) for light, ab in zip(lightness, chroma.permute(0, 2, 3, 1).numpy(), strict=True)]
        return np.stack([np.rint(255 * colour).astype(np.uint8) for colour in found])


STEPS: dict[str, Callable[[Path], Step]] = {"super-resolution": SuperResolution, "colorization": Colorization}
"""The steps by name."""


def build_chain(names: list[str], weights: dict[str, Path]) -> list[Step]:
    """The steps of a chain, in order.

    Args:
        names: Of :data:`STEPS`.
        weights: A file for each.

    Raises:
        ConfigError: There is no such step, none at all, or a step has no weights; the message says where they are.
        CheckpointError: A file is missing or damaged, or of another network.
    """
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        raise ConfigError(f"{unknown or 'no steps'}: a chain is made of {', '.join(STEPS)}")
    for name in names:
        if name not in weights:
            folder, file, licence = OFFICIAL[name]
            raise ConfigError(f"{name} needs its weights: fetch {file} ({licence}) from {folder} and name the file")
    return [STEPS[name](weights[name]) for name in names]


def _loaded(weights: Path, architecture: Any, step: str) -> tuple[str, nn.Module]:
    """The checksum of a file, and the network that it holds."""
    state: dict[str, Any] = dict(read_state_dict(weights))
    for key in ("params_ema", "params"):  # as the authors' training scripts nest them
        nested = state.get(key)
        if isinstance(nested, dict):
            state = nested
            break
    try:
        if not architecture.detect(state):
            raise CheckpointError(f"{weights} does not hold {architecture.name}, which {step} is done with")
        network: nn.Module = architecture.load(state).model
    except (RuntimeError, KeyError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(f"{weights} cannot be used for {step}: {error}") from error
    return sha256(weights), network.eval()


def _as_faces(images: Tensor) -> Faces:
    """[B, 3, H, W] in [0, 1] -> uint8 [B, H, W, 3]."""
    return (images.float().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _rgb(lightness: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """CIELAB to RGB in [0, 1]; outside of it where the colour does not exist."""
    lab = np.dstack([lightness, chroma]).astype(np.float32)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32)


def _in_gamut(lightness: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """RGB [H, W, 3] of this lightness [H, W], with as much of the chroma [H, W, 2] as there can be."""
    share = np.ones_like(lightness)
    for _ in range(_GAMUT_STEPS):
        colour = _rgb(lightness, chroma * share[..., None])
        back = cv2.cvtColor(colour.clip(0, 1), cv2.COLOR_RGB2LAB)[..., 0]
        off = np.abs(back - lightness) > 0.5
        if not off.any():
            break
        share[off] *= 0.75
    return np.clip(_rgb(lightness, chroma * share[..., None]), 0, 1)
