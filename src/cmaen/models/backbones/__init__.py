"""The pathways for which pretrained weights exist: a few of our own, and the networks of timm by name.

A new backbone needs one new file, one line in :data:`BACKBONES` and one row in the registry-wide test.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from cmaen.errors import ConfigError
from cmaen.models.backbones.base import Backbone, StagedBackbone, adapt_statistics
from cmaen.models.backbones.efficientnet import efficientnet_v2_s
from cmaen.models.backbones.mobilenet import mobilenet_v1
from cmaen.models.backbones.sface import sface
from cmaen.models.backbones.timm import PREFIX, TimmBackbone, require_network

BACKBONES: dict[str, Callable[[str | Path | None], Backbone]] = {
    "efficientnet_v2_s": efficientnet_v2_s,
    "mobilenet_v1": mobilenet_v1,
    "sface": sface,
}


def require_backbone(name: str) -> None:
    """Refuse a name that is not a backbone.

    Raises:
        ConfigError: It is neither in :data:`BACKBONES` nor ``timm/NAME`` for a network of timm.
    """
    if name.startswith(PREFIX):
        require_network(name)
    elif name not in BACKBONES:
        raise ConfigError(f"{name!r} is not a pathway; choose from ecnn, {', '.join(BACKBONES)} and {PREFIX}NAME")


def build_backbone(name: str, weights: str | Path | None = None) -> Backbone:
    """Build a backbone by its name.

    Args:
        name: One of :data:`BACKBONES`, or ``timm/NAME``.
        weights: Initial weights: the name of published weights, a local file, or ``None`` for random weights.

    Raises:
        ConfigError: The backbone does not exist, or has no such weights.
        CheckpointError: The weights file cannot be read or belongs to another network.
    """
    require_backbone(name)
    build = partial(TimmBackbone, name) if name.startswith(PREFIX) else BACKBONES[name]
    return build(weights)


__all__ = ["BACKBONES", "Backbone", "StagedBackbone", "adapt_statistics", "build_backbone", "require_backbone"]
