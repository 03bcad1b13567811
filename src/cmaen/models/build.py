"""Building a network from its spec: the pathways, and the wiring that joins them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from cmaen.errors import ConfigError, guard
from cmaen.models.backbones import Backbone, build_backbone
from cmaen.models.backbones.base import fill, find_weights, read_state_dict
from cmaen.models.base import EmotionNetwork
from cmaen.models.network import JoinedNetwork
from cmaen.models.paper import CMAEN
from cmaen.models.parts.ecnn import ECNN, ECNN_NAME
from cmaen.models.spec import ModelSpec
from cmaen.types import EMOTIONS

_DEFAULT = ModelSpec()


def build_network(
    spec: ModelSpec = _DEFAULT,
    *,
    classes: int = len(EMOTIONS),
    perceived: int = 0,
    trunk_weights: str | Path | None = None,
    side_weights: str | Path | None = None,
) -> EmotionNetwork:
    """Build a network.

    Args:
        spec: Architecture of the network.
        classes: Number of labels; it comes from the label schemes of a card, not from its architecture.
        perceived: Number of labels of the second scheme, which gets a classifier of its own; 0 for a single scheme.
        trunk_weights, side_weights: Initial weights of the pathways: the name of published weights or a file, see
            :func:`cmaen.models.backbones.build_backbone`; ``None`` for random weights.

    Raises:
        ConfigError: The parts do not fit each other, or the weights do not exist.
        CheckpointError: The weights cannot be read or downloaded, or belong to another network.
    """
    if spec.side is None and side_weights is not None:
        raise ConfigError("side_weights are given, but the network has no side: leave them out, or set a side")
    side = None if spec.side is None else _build_pathway(spec.side, spec, side_weights)
    trunk = _build_pathway(spec.trunk, spec, trunk_weights)
    wiring = CMAEN if spec.wiring == "paper" else JoinedNetwork
    return wiring(spec, trunk=trunk, side=side, classes=classes, perceived=perceived)


@lru_cache(maxsize=16)
def check_buildable(spec: ModelSpec, image_size: int) -> EmotionNetwork:
    """Refuse an architecture whose parts do not fit each other, or that does not fit the size of its input.

    Returns:
        The network on the device ``meta``, where it has shapes but no memory.

    Raises:
        ConfigError: The network cannot be built, or cannot take images of this size; the message says what to change.
    """
    doing = f"the network cannot take images of {image_size} x {image_size} pixels; change preprocess.image_size"
    with torch.device("meta"), torch.no_grad():
        with guard(ConfigError, "the network cannot be built"):
            network = build_network(spec).eval()
        with guard(ConfigError, doing):
            network(torch.zeros(2, 3, image_size, image_size))
    return network


def _build_pathway(name: str, spec: ModelSpec, weights: str | Path | None) -> Backbone:
    if name != ECNN_NAME:
        return build_backbone(name, weights)
    pathway = ECNN(
        widths=spec.ecnn_widths, stem=spec.ecnn_stem, stem_stride=spec.ecnn_stem_stride, dropout=spec.dropout
    )
    if weights is not None:
        path = find_weights(weights)
        fill(pathway, read_state_dict(path), "the E-CNN", path)
    return pathway
