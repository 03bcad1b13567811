"""The pathways for which pretrained weights exist: a few of our own, and the networks of timm by name.

A new backbone needs one new file, one line in :data:`BACKBONES` and one row in the registry-wide test; one in another
package is a plug-in, see :mod:`cmaen.plugins`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cmaen import plugins
from cmaen.errors import ConfigError, PluginError
from cmaen.models.backbones.base import Backbone, StagedBackbone, adapt_statistics
from cmaen.models.backbones.efficientnet import efficientnet_v2_s
from cmaen.models.backbones.mobilenet import mobilenet_v1, mobilenet_v1_slim
from cmaen.models.backbones.sface import sface
from cmaen.models.backbones.timm import PREFIX, TimmBackbone, require_network
from cmaen.plugins import Plugin, find_plugins

BACKBONES: dict[str, Callable[[str | Path | None], Backbone]] = {
    "efficientnet_v2_s": efficientnet_v2_s,
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v1_slim": mobilenet_v1_slim,
    "sface": sface,
}


_RESERVED = "ecnn"
"""Pathway that is no backbone, see :mod:`cmaen.models.parts.ecnn`, which is above this package."""


def require_backbone(name: str) -> None:
    """Refuse a name that is not a backbone.

    Raises:
        ConfigError: It is neither in :data:`BACKBONES`, nor a plug-in, nor ``timm/NAME`` for a network of timm.
    """
    if name.startswith(PREFIX):
        require_network(name)
    elif name not in BACKBONES:
        found = _find_plugins()
        if name not in found:
            known = ", ".join([_RESERVED, *BACKBONES, *found])
            raise ConfigError(f"{name!r} is not a pathway; choose from {known} and {PREFIX}NAME")


def build_backbone(name: str, weights: str | Path | None = None) -> Backbone:
    """Build a backbone by its name.

    Args:
        name: One of :data:`BACKBONES`, a plug-in, or ``timm/NAME``.
        weights: Initial weights: the name of published weights, a local file, or ``None`` for random weights.

    Raises:
        ConfigError: The backbone does not exist, or has no such weights.
        CheckpointError: The weights file cannot be read or belongs to another network.
        PluginError: The backbone of another package cannot be imported or built.
    """
    require_backbone(name)
    if name.startswith(PREFIX):
        return TimmBackbone(name, weights)
    if name in BACKBONES:
        return BACKBONES[name](weights)
    return _build_plugin(_find_plugins()[name], weights)


def _find_plugins() -> dict[str, Plugin]:
    return find_plugins(plugins.BACKBONES, {_RESERVED, *BACKBONES})


def _build_plugin(plugin: Plugin, weights: str | Path | None) -> Backbone:
    backbone = plugin.load()(weights)
    if not isinstance(backbone, Backbone):
        raise PluginError(f"{plugin} cannot be used: it is a {type(backbone).__name__} instead of a Backbone")
    return backbone


__all__ = ["BACKBONES", "Backbone", "StagedBackbone", "adapt_statistics", "build_backbone", "require_backbone"]
