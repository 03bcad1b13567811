"""The semantic pathway: any backbone of the registry can take EfficientNetV2-S's place.

A new backbone is one new file, one line in :data:`BACKBONES` and one row in the registry-wide test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cmaen.errors import ConfigError
from cmaen.models.backbones.base import Backbone, StagedBackbone, adapt_statistics
from cmaen.models.backbones.efficientnet import efficientnet_v2_s
from cmaen.models.backbones.efficientnet_lite import efficientnet_lite2
from cmaen.models.backbones.mobilenet import mobilenet_v1
from cmaen.models.backbones.resnet import resnet18
from cmaen.models.backbones.sface import sface

BACKBONES: dict[str, Callable[[str | Path | None], Backbone]] = {
    "efficientnet_lite2": efficientnet_lite2,
    "efficientnet_v2_s": efficientnet_v2_s,
    "mobilenet_v1": mobilenet_v1,
    "resnet18": resnet18,
    "sface": sface,
}


def build_backbone(name: str, weights: str | Path | None = None) -> Backbone:
    """A backbone by name.

    Args:
        name: One of :data:`BACKBONES`.
        weights: What to start from: the name of published weights, a local file, or ``None`` for random weights.

    Raises:
        ConfigError: There is no such backbone, or no such weights for it.
        CheckpointError: The weights' file cannot be read or belongs to another network.
    """
    if name not in BACKBONES:
        raise ConfigError(f"{name!r} is not a registered backbone; choose from {sorted(BACKBONES)}")
    return BACKBONES[name](weights)


__all__ = ["BACKBONES", "Backbone", "StagedBackbone", "adapt_statistics", "build_backbone"]
