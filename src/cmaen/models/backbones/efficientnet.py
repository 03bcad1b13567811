"""EfficientNetV2-S (Tan and Le, 2021), the paper's semantic pathway: 1,280 channels at stride 32."""

from __future__ import annotations

from pathlib import Path

from torch import nn
from torchvision.models import EfficientNet_V2_S_Weights
from torchvision.models import efficientnet_v2_s as torchvision_efficientnet_v2_s

from cmaen.models.backbones.base import DepthwiseConv, StagedBackbone, load_torchvision


def efficientnet_v2_s(weights: str | Path | None) -> StagedBackbone:
    """EfficientNetV2-S; ``weights`` is ``IMAGENET1K_V1``, a state dict of torchvision's network, or ``None``."""
    network = torchvision_efficientnet_v2_s()
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.__class__ = DepthwiseConv
    load_torchvision(network, weights, EfficientNet_V2_S_Weights)
    return StagedBackbone(network.features, levels=(3, 5, 7), channels=(64, 160, 1280))
