"""Any network of timm (Wightman, 2019) with maps at strides 8, 16 and 32, by its exact name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cmaen.errors import CheckpointError, ConfigError, MissingExtraError, guard
from cmaen.models.backbones.base import Backbone, fill, find_weights, read_state_dict
from cmaen.preprocessing import IMAGENET_MEAN, IMAGENET_STD

PREFIX = "timm/"
PRETRAINED = "pretrained"
"""Name of the weights that timm downloads."""
STRIDES = (8, 16, 32)


class _Levels(NamedTuple):
    """Indices and numbers of channels of a network's maps at the three strides."""

    indices: tuple[int, ...]
    channels: tuple[int, int, int]


class TimmBackbone(Backbone):
    """A network of timm.

    Args:
        name: ``timm/NAME``.
        weights: ``None``; ``pretrained`` for those that timm downloads from the Hugging Face Hub; or a file
            (``.safetensors``, ``.pt``) of timm's network or of this backbone.

    Raises:
        ConfigError: timm has no such network, it has no maps at the strides, or the file does not exist.
        CheckpointError: The weights cannot be downloaded, or belong to another network.
    """

    channels: tuple[int, int, int]
    network: nn.Module
    channels_last: bool
    gain: Tensor
    shift: Tensor

    def __init__(self, name: str, weights: str | Path | None = None) -> None:
        super().__init__()
        levels = _find_levels(name)
        self.channels = levels.channels
        state = None if weights in (None, PRETRAINED) else read_state_dict(find_weights(weights, [PRETRAINED]))
        own = state is not None and any(str(key).startswith("network.") for key in state)
        if weights == PRETRAINED:
            self.network = _fetch(name, levels)
        elif state is None or own:
            self.network = _create(name, out_indices=levels.indices)
        else:
            self.network = _load(name, levels, state, Path(weights))  # type: ignore[arg-type]
        self.channels_last = str(getattr(self.network, "output_fmt", "")).endswith("NHWC")
        mean, std, own_mean, own_std = (
            torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD, *_read_units(name))
        )
        self.register_buffer("gain", std / own_std)
        self.register_buffer("shift", (mean - own_mean) / own_std)
        if state is not None and own:
            fill(self, state, name, Path(weights))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Backbone`."""
        maps = self.network(x * self.gain + self.shift)
        if self.channels_last:
            maps = [level.permute(0, 3, 1, 2) for level in maps]  # [B, H, W, C] -> [B, C, H, W]
        low, middle, high = maps
        return low, middle, high


def require_network(name: str) -> None:
    """Refuse a name that is not exactly one of timm's: timm might download anything else from somewhere.

    Raises:
        ConfigError: The network does not exist.
        MissingExtraError: timm is not installed.
    """
    if name.removeprefix(PREFIX) not in _list_names():
        raise ConfigError(f"timm has no network {name.removeprefix(PREFIX)!r}; timm.list_models() lists their names")


@lru_cache(maxsize=1)
def _list_names() -> frozenset[str]:
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("using timm's networks", "train") from error
    return frozenset(timm.list_models())


@lru_cache(maxsize=64)
def _find_levels(name: str) -> _Levels:
    """Find the maps of a network at the strides; it is built without memory for that."""
    require_network(name)
    with guard(ConfigError, f"{name} does not return maps; choose another network"), torch.device("meta"):
        there: Any = _create(name).feature_info
        strides, channels = list(there.reduction()), list(there.channels())
    if missing := [stride for stride in STRIDES if stride not in strides]:
        raise ConfigError(
            f"{name} has maps at strides {strides}, but none at {missing}: choose a convolutional network, or one "
            "with stages"
        )
    last = {stride: index for index, stride in enumerate(strides)}
    low, middle, high = (channels[last[stride]] for stride in STRIDES)
    return _Levels(tuple(last[stride] for stride in STRIDES), (low, middle, high))


def _create(name: str, **options: Any) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(name.removeprefix(PREFIX), features_only=True, **options)
    return network


def _read_units(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read the mean and deviation with which the network's input is normalised."""
    import timm

    settings = timm.get_pretrained_cfg(name.removeprefix(PREFIX))
    return (IMAGENET_MEAN, IMAGENET_STD) if settings is None else (settings.mean, settings.std)


def _fetch(name: str, levels: _Levels) -> nn.Module:
    try:
        return _create(name, out_indices=levels.indices, pretrained=True)
    except Exception as error:  # from the Hub's client, the connection, or timm, if a network has no weights
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"the pretrained weights of {name} cannot be downloaded: {reason}; check the connection, or download the "
            "file by hand and name it with --trunk-weights or --side-weights"
        ) from error


def _load(name: str, levels: _Levels, state: dict[str, Tensor], path: Path) -> nn.Module:
    """Build the network with the weights of a timm file, without the classifier."""
    refused = f"{path} does not fit {name}"
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{refused}: it holds no weights")
    with guard(CheckpointError, refused):
        network = _create(
            name, out_indices=levels.indices, pretrained=True, pretrained_cfg_overlay={"state_dict": dict(state)}
        )
    given = {_sign(value) for value in state.values()}
    taken = [_sign(value) in given for value in network.parameters() if value.ndim > 1]
    if 2 * sum(taken) < len(taken):  # timm silently skips what it does not know
        raise CheckpointError(f"{refused}: it holds the weights of another network")
    return network


def _sign(value: Tensor) -> tuple[int, float]:
    """Return a signature that identifies a tensor of weights regardless of its shape."""
    return value.numel(), float(value.detach().double().sum())
