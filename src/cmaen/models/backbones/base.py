"""What every backbone is: levels of features from one input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.errors import CheckpointError, ConfigError
from cmaen.preprocessing import IMAGENET_MEAN, IMAGENET_STD


class Backbone(nn.Module):
    """Gives the maps at strides 8, 16 and 32.

    Attributes:
        channels: Of the three maps.
    """

    channels: tuple[int, int, int]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 3, H, W] -> [B, channels[i], H / (8 * 2^i), W / (8 * 2^i)] for i = 0, 1, 2."""
        raise NotImplementedError


class StagedBackbone(Backbone):
    """A backbone made of stages that run one after the other, three of which give a level.

    Args:
        stages: To be run in order.
        levels: Indices of the stages whose output is a level.
        channels: Of the levels.
    """

    def __init__(self, stages: nn.Sequential, levels: tuple[int, int, int], channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.stages = stages
        self.levels = levels
        self.channels = channels
        self.frozen = 0

    def freeze(self, stages: int) -> None:
        """Let so many of the first stages learn no more, the statistics of their BatchNorm included."""
        self.frozen = stages
        self.stages[:stages].requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> StagedBackbone:
        """As for every module, but what is frozen stays in evaluation mode."""
        super().train(mode)
        self.stages[: self.frozen].eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Backbone`."""
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.levels:
                maps.append(x)
        low, middle, high = maps
        return low, middle, high


def _relu6(x: Tensor) -> Tensor:
    return F.relu6(x, inplace=True)


class ConvNorm(nn.Module):
    """A convolution with an odd kernel, BatchNorm and an activation.

    Args:
        channels_in, channels, kernel, stride, groups: Of the convolution.
        activation: Of the result.
        centred: With stride 2, whether a place sees as much to the left and above as to the right and below; else it is
            padded to the right and below only, as in TensorFlow.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[Tensor], Tensor] = _relu6,
        centred: bool = False,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.activation = activation
        self.centred = centred
        self.conv = nn.Conv2d(channels_in, channels, kernel, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H / stride, W / stride]; H and W are even where the stride is 2."""
        weight, groups = self.conv.weight, self.conv.groups
        reach = weight.shape[-1] // 2
        if self.stride == 1:
            x = F.conv2d(x, weight, padding=reach, groups=groups)
        elif groups > 1 and self.training and x.is_cpu and x.dtype == torch.bfloat16:
            first = 0 if self.centred else 1
            x = F.conv2d(x, weight, padding=reach, groups=groups)[:, :, first::2, first::2]
            x = x.contiguous(memory_format=torch.channels_last)
        else:
            before = reach if self.centred else reach - 1
            x = F.conv2d(F.pad(x, (before, reach, before, reach)), weight, stride=2, groups=groups)
        return self.activation(self.norm(x))


class Rescaled(nn.Module):
    """The project's input, RGB less ImageNet's mean and divided by its deviation, in the units of another network.

    Args:
        less, by: Its units are RGB from 0 to 255, less the one and divided by the other.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, *, less: float, by: float) -> None:
        super().__init__()
        mean, deviation = (255 * torch.tensor(value).view(1, 3, 1, 1) for value in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("gain", deviation / by, persistent=False)
        self.register_buffer("shift", (mean - less) / by, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] -> the same shape."""
        return x * self.gain + self.shift


def load_torchvision(network: nn.Module, weights: str | Path | None, published: type) -> None:
    """Load weights into a torchvision network: published ones by name (downloaded once), or those of a local file.

    Args:
        network: Changed in place.
        weights: A name in ``published``, a path to a state dict, or ``None`` to do nothing.
        published: The torchvision ``WeightsEnum`` of the network.

    Raises:
        ConfigError: ``weights`` is neither a published name nor a file.
        CheckpointError: The file is no state dict of this network, or the published one cannot be fetched.
    """
    if weights is None:
        return
    names = list(published.__members__)  # type: ignore[attr-defined]
    known = str(weights) in names
    state = _fetch(published[str(weights)]) if known else read_state_dict(find_weights(weights, names))  # type: ignore[index]
    fill(network, state, type(network).__name__, weights)


def _fetch(weights: Any) -> dict[str, Tensor]:
    """The state dict of published weights of torchvision, from its cache or its address."""
    try:
        found: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError, ValueError, EOFError, HTTPException, UnpicklingError) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise CheckpointError(
            f"the published weights {weights.name} cannot be fetched from {weights.url}: {reason}; look at the "
            "connection, or fetch that file by hand and name it with --trunk-weights or --side-weights"
        ) from error
    return found


def find_weights(weights: str | Path, names: Sequence[str] = ()) -> Path:
    """Find weights that are named by a file.

    Args:
        weights: The file.
        names: The names of published weights that might have been meant.

    Raises:
        ConfigError: There is no such file.
    """
    path = Path(weights)
    if not path.is_file():
        known = f"; published weights are named {', '.join(names)}" if names else ""
        raise ConfigError(f"the weights {str(weights)!r} are no file{known}")
    return path


def fill(network: nn.Module, state: dict[str, Tensor], name: str, source: str | Path) -> None:
    """Load a state dict into a network; the name and the source are for the error.

    Raises:
        CheckpointError: It is of another network.
    """
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:  # the latter two: it holds other things than tensors
        raise CheckpointError(f"{source} does not fit {name}: {error}") from error


@torch.no_grad()
def adapt_statistics(backbone: nn.Module, images: Tensor) -> None:
    """Give every BatchNorm the statistics of real images, and a scale and shift that keep its result the same.

    For networks whose BatchNorm came folded, with running statistics (0, 1): without this the first training step would
    normalise by the batch and compute something else altogether.

    Args:
        backbone: In evaluation mode; changed in place.
        images: float32 [N, 3, H, W] as the network will see them, some hundreds.
    """

    def absorb(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - gain * norm.running_mean
        norm.running_mean.copy_(inputs[0].mean(dim=(0, 2, 3)))
        norm.running_var.copy_(inputs[0].var(dim=(0, 2, 3)))
        norm.weight.copy_(gain * (norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(shift + gain * norm.running_mean)

    hooks = [m.register_forward_pre_hook(absorb) for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    backbone(images)
    for hook in hooks:
        hook.remove()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """A state dict from a safetensors file or a PyTorch file; nothing but tensors is ever unpickled.

    Raises:
        CheckpointError: The file is neither.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as weights: {error}") from error
    except Exception as error:  # pickle.UnpicklingError and its kin: an unsafe or damaged file
        raise CheckpointError(f"{path} is damaged or holds more than tensors: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds a {type(state).__name__} where a state dict is meant")
    return state
