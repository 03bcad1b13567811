"""The compact face detector: one stage, no anchors, a box and five landmarks at each place of three maps.

Shape legend: B batch, H W picture (multiples of 32), N places of all three maps, C channels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (8, 16, 32)
_REACH = 4.0
_PRIOR_LOGIT = -4.6  # one place in a hundred holds a face, before anything is learnt


class Detections(NamedTuple):
    """At each place: the logit of a face [B, N], its box [B, N, 4] as x, y, width, height, and its landmarks.

    Boxes and landmarks [B, N, 5, 2] are in pixels of the picture.
    """

    logits: Tensor
    boxes: Tensor
    landmarks: Tensor


class CompactDetector(nn.Module):
    """Depthwise separable convolutions (Howard et al., 2017) down to stride 32, and a top-down pyramid.

    Args:
        widths: C after the stem, and at the strides 4, 8, 16 and 32.
        depths: Blocks at those four strides.
        pyramid: C of the three maps that are read.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int, int] = (16, 24, 48, 80, 128),
        depths: tuple[int, int, int, int] = (1, 3, 3, 2),
        pyramid: int = 64,
    ) -> None:
        super().__init__()
        self.stem = _convolution(3, widths[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(_separable(before, after, stride=2), *(_separable(after, after) for _ in range(depth - 1)))
            for before, after, depth in zip(widths, widths[1:], depths, strict=False)
        )
        self.lateral = nn.ModuleList(_convolution(width, pyramid, kernel=1) for width in widths[2:])
        self.smooth = nn.ModuleList(_separable(pyramid, pyramid) for _ in STRIDES)
        self.head = nn.ModuleList(_separable(pyramid, pyramid) for _ in STRIDES)
        self.predict = nn.Conv2d(pyramid, 1 + 4 + 10, 1)
        self.predict.bias = nn.Parameter(torch.tensor([_PRIOR_LOGIT] + [0.0] * (4 + 10)))

    def forward(self, pictures: Tensor) -> Detections:
        """RGB float32 [B, 3, H, W] from 0 to 255 -> :class:`Detections`."""
        x = self.stem(pictures / 127.5 - 1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        top, parts = None, []
        for level in reversed(range(len(STRIDES))):
            x = self.lateral[level](maps[level + 1])
            if top is not None:
                x = x + F.interpolate(top, scale_factor=2.0, mode="nearest")
            top = self.smooth[level](x)
            parts.append(_decoded(self.predict(self.head[level](top)), STRIDES[level]))
        return Detections(*(torch.cat(part, dim=1) for part in zip(*reversed(parts), strict=True)))


def places(height: int, width: int) -> Tensor:
    """Centre and stride of every place for a picture of that size, float32 [N, 3], in the order of Detections."""
    return torch.cat(
        [
            torch.cat(
                [
                    _centres(height // stride, width // stride, stride),
                    torch.full((height // stride * (width // stride), 1), stride),
                ],
                dim=1,
            )
            for stride in STRIDES
        ]
    )


def _decoded(raw: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """What a map says [B, 15, h, w] in pixels; everything is told from the centre of the place, in strides."""
    height, width = raw.shape[2:]
    raw = raw.flatten(2).transpose(1, 2)  # [B, 15, h, w] -> [B, h * w, 15]
    centres = _centres(height, width, stride).to(raw.device)
    middle = centres + stride * raw[..., 1:3]
    size = stride * _REACH * torch.exp(raw[..., 3:5].clamp(-6, 6))
    marks = centres[:, None] + stride * _REACH * raw[..., 5:].reshape(*raw.shape[:2], 5, 2)
    return raw[..., 0], torch.cat([middle - size / 2, size], dim=-1), marks


def _centres(height: int, width: int, stride: int) -> Tensor:
    """The centres of a map's places, x and y, float32 [h * w, 2], row by row."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.stack([x, y], dim=-1).flatten(0, 1).float() + 0.5) * stride


class _Depthwise(nn.Conv2d):
    """3x3, one kernel a channel; with stride 2 subsampled in training, see :mod:`cmaen.models.backbones.mobilenet`."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels, channels, 3, stride, 1, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H / stride, W / stride]."""
        if not self.training or self.stride == (1, 1):
            return super().forward(x)
        x = F.conv2d(x, self.weight, padding=1, groups=self.groups)[:, :, ::2, ::2]
        return x.contiguous(memory_format=torch.channels_last)


def _convolution(before: int, after: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())


def _separable(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        _Depthwise(before, stride), nn.BatchNorm2d(before), nn.ReLU(), _convolution(before, after, kernel=1)
    )
