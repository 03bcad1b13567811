"""EfficientNetV2-S (Tan and Le, 2021), the paper's semantic pathway: 1,280 channels at stride 32."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import EfficientNet_V2_S_Weights
from torchvision.models import efficientnet_v2_s as torchvision_efficientnet_v2_s

from cmaen.models.backbones.base import StagedBackbone, load_torchvision


class DepthwiseConv(nn.Conv2d):
    """A depthwise convolution of 3x3 that in training pads maps smaller than its kernel before, not while it computes.

    The numbers are the same, and oneDNN's weight gradient of the one that pads by itself is 25 to 60 times slower (39
    against 1.5 ms for 64 maps of 1536 x 2 x 2 on two Zen 3 cores, see ``examples/measure_training.py``).
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H / stride, W / stride]."""
        if self.training and min(x.shape[-2:]) < 3:
            return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias, self.stride, groups=self.groups)
        return super().forward(x)


def efficientnet_v2_s(weights: str | Path | None) -> StagedBackbone:
    """EfficientNetV2-S; ``weights`` is ``IMAGENET1K_V1``, a state dict of torchvision's network, or ``None``."""
    network = torchvision_efficientnet_v2_s()
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.__class__ = DepthwiseConv  # with the weights that torchvision has drawn
    load_torchvision(network, weights, EfficientNet_V2_S_Weights)
    return StagedBackbone(network.features, levels=(3, 5, 7), channels=(64, 160, 1280))
