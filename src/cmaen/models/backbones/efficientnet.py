"""EfficientNetV2-S (Tan and Le, 2021), the paper's semantic pathway: 1,280 channels at stride 32."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.models.backbones.base import StagedBackbone, load_torchvision


class DepthwiseConv(nn.Conv2d):
    """A depthwise 3x3 convolution that trains without two slow gradients of oneDNN; its results are the same.

    Maps smaller than the kernel are padded beforehand: the weight gradient of a convolution that pads by itself is 25
    to 60 times slower (39 against 1.5 ms for 64 maps of 1536 x 2 x 2 on two Zen 3 cores). In bfloat16, stride 2 is
    computed as stride 1 and subsampled, as in :mod:`cmaen.models.backbones.mobilenet`. ``examples/measure_training.py``
    measures both.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, C, H / stride, W / stride]."""
        if not self.training:
            return super().forward(x)
        padding = 1
        if min(x.shape[-2:]) < 3:
            x, padding = F.pad(x, (1, 1, 1, 1)), 0
        if self.stride == (2, 2) and x.is_cpu and x.dtype == torch.bfloat16:
            x = F.conv2d(x, self.weight, self.bias, 1, padding, groups=self.groups)[:, :, ::2, ::2]
            return x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)


def efficientnet_v2_s(weights: str | Path | None) -> StagedBackbone:
    """Build EfficientNetV2-S; ``weights`` is ``IMAGENET1K_V1``, a state dict of torchvision's network, or ``None``."""
    from torchvision import models  # takes longer to import than PyTorch itself, and only this backbone needs it

    network = models.efficientnet_v2_s()
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.__class__ = DepthwiseConv  # keeps the weights drawn by torchvision
    load_torchvision(network, weights, models.EfficientNet_V2_S_Weights)
    return StagedBackbone(network.features, levels=(3, 5, 7), channels=(64, 160, 1280))
