"""Exporting the light networks of enhancement to ONNX, so that prediction needs no PyTorch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from cmaen.enhance.light import COLOUR_SIDE, LightDDColor, light_swinir
from cmaen.enhance.onnx import WEIGHTS, WINDOW, mask_windows
from cmaen.errors import ConfigError
from cmaen.files import replace_file, sha256
from cmaen.graphs import with_half_weights, without_traces
from cmaen.models.backbones.base import fill, read_state_dict

OPSET = 20
_MOST, _LONGEST = 4096, 512


def export_step(name: str, weights: Path, target: Path) -> None:
    """Write the ONNX file of a light network, for any batch size; that of super-resolution takes faces of any size.

    The weights keep the float16 of their file, each with a cast that ONNX Runtime folds when it loads them. The same
    weights and the same versions of PyTorch and onnxscript give the same file.

    Args:
        name: Name of the step.
        weights: Weights file of :func:`cmaen.enhance.light.light_swinir` or
            :class:`cmaen.enhance.light.LightDDColor`, whose SHA-256 the file will name.
        target: The ONNX file.

    Raises:
        ConfigError: The step does not exist.
        CheckpointError: The weights are missing or damaged, or belong to another network.
        OutputError: The file cannot be written.
    """
    if name not in _EXPORTS:
        raise ConfigError(f"{name!r} is not an enhancement step; choose from {', '.join(_EXPORTS)}")
    network = light_swinir() if name == "super-resolution" else LightDDColor()
    state = {key: value.float() if value.is_floating_point() else value for key, value in _tensors(weights).items()}
    fill(network, state, name, weights)
    with replace_file(target) as temporary:
        _export(_EXPORTS[name](network.eval()), temporary)
        written = with_half_weights(without_traces(onnx.load(str(temporary))), exact=True)
        onnx.helper.set_model_props(written, {WEIGHTS: sha256(weights)})
        onnx.save(written, str(temporary))


class _Exported(nn.Module):
    """A network as it is exported.

    Attributes:
        inputs, output: Names of the inputs and of the output.
        optimised: Whether PyTorch's exporter simplifies the graph. It would fold BatchNorm into the convolutions, whose
            weights would then not fit into float16 without rounding; ONNX Runtime folds it while loading.
    """

    inputs: tuple[str, ...]
    output: str
    optimised: bool

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs to trace the network with."""
        raise NotImplementedError

    def dynamic(self) -> tuple[Mapping[int, Any], ...]:
        """Return which dimensions of each input may change."""
        raise NotImplementedError


class _SuperResolution(_Exported):
    """SwinIR that is given the mask of its shifted windows: in the graph it would have to be made in every block."""

    inputs, output, optimised = ("images", "mask"), "large", True

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.mask = network, list[Tensor]()
        for layer in network.layers:  # type: ignore[union-attr]
            blocks: Any = layer.residual_group
            blocks.blocks = nn.ModuleList(_Block(block, self.mask) for block in blocks.blocks)

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """Enlarge [B, 3, H, W] in [0, 1] to [B, 3, 4 H, 4 W]; H and W are multiples of the window's side."""
        self.mask[:] = [mask]
        return self.network(images)  # type: ignore[no-any-return]

    def example(self) -> tuple[Tensor, ...]:
        height, width = 10 * WINDOW, 6 * WINDOW  # sides that nothing in the network has
        return torch.zeros(3, 3, height, width), torch.from_numpy(mask_windows(height, width))

    def dynamic(self) -> tuple[Mapping[int, Any], ...]:
        rows, columns = (WINDOW * torch.export.Dim(name, min=1, max=_LONGEST) for name in ("rows", "columns"))
        return {0: _batch(), 2: rows, 3: columns}, {0: torch.export.Dim.DYNAMIC}


class _Block(nn.Module):
    """A block of SwinIR; the authors' own writes the size of the example's batch into the graph."""

    def __init__(self, block: Any, mask: list[Tensor]) -> None:
        super().__init__()
        self.block, self.mask = block, mask

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Attend within windows of [B, H * W, C]; ``size`` is (H, W)."""
        block, (height, width), (batch, pixels, channels) = self.block, size, x.shape
        down, across, shift = height // WINDOW, width // WINDOW, block.shift_size
        maps = block.norm1(x).view(batch, height, width, channels)  # [B, H * W, C] -> [B, H, W, C]
        if shift:
            maps = torch.roll(maps, (-shift, -shift), (1, 2))
        windows = maps.view(batch, down, WINDOW, across, WINDOW, channels).transpose(2, 3)
        windows = windows.reshape(batch * down * across, WINDOW * WINDOW, channels)  # [windows, 64, C]
        found = block.attn(windows, mask=self.mask[0] if shift else None)
        maps = found.view(batch, down, across, WINDOW, WINDOW, channels).transpose(2, 3)
        maps = maps.reshape(batch, height, width, channels)  # [windows, 64, C] -> [B, H, W, C]
        if shift:
            maps = torch.roll(maps, (shift, shift), (1, 2))
        x = x + maps.reshape(batch, pixels, channels)
        return x + block.mlp(block.norm2(x))  # type: ignore[no-any-return]


class _Colorization(_Exported):
    """The light DDColor, of one channel: all three of a grey face are the same."""

    inputs, output, optimised = ("grey",), "chroma", False

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: Tensor) -> Tensor:
        """Predict chroma [B, 2, 96, 96] from grey in [0, 1], [B, 1, 96, 96]."""
        return self.network(grey)  # type: ignore[no-any-return]

    def example(self) -> tuple[Tensor, ...]:
        return (torch.zeros(3, 1, COLOUR_SIDE, COLOUR_SIDE),)

    def dynamic(self) -> tuple[Mapping[int, Any], ...]:
        return ({0: _batch()},)


_EXPORTS = {"super-resolution": _SuperResolution, "colorization": _Colorization}


def _batch() -> Any:
    return torch.export.Dim("batch", min=1, max=_MOST)


def _export(network: _Exported, path: Path) -> None:
    for name in ("torch.onnx", "onnxscript"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval().requires_grad_(False),  # the exporter would trace with gradients, which takes longer
            network.example(),
            str(path),
            input_names=list(network.inputs),
            output_names=[network.output],
            dynamic_shapes=network.dynamic(),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            optimize=network.optimised,
            verbose=False,
        )


def _tensors(weights: Path) -> dict[str, Tensor]:
    return dict(read_state_dict(weights))
