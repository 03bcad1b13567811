"""ResNet-18 (He et al., 2016), a plain backbone of medium size."""

from __future__ import annotations

from pathlib import Path

from torch import nn
from torchvision.models import ResNet18_Weights
from torchvision.models import resnet18 as torchvision_resnet18

from cmaen.models.backbones.base import StagedBackbone, load_torchvision


def resnet18(weights: str | Path | None) -> StagedBackbone:
    """ResNet-18; ``weights`` is ``IMAGENET1K_V1``, a state dict of torchvision's network, or ``None``."""
    network = torchvision_resnet18()
    load_torchvision(network, weights, ResNet18_Weights)
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    stages = nn.Sequential(stem, network.layer1, network.layer2, network.layer3, network.layer4)
    return StagedBackbone(stages, levels=(2, 3, 4), channels=(128, 256, 512))
