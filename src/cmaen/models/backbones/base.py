"""The interface of every backbone: levels of features from one input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.errors import CheckpointError, ConfigError
from cmaen.preprocessing import IMAGENET_MEAN, IMAGENET_STD


class Backbone(nn.Module):
    """A network that returns maps at strides 8, 16 and 32.

    Attributes:
        channels: Number of channels of the three maps.
        wider: Name of the backbone whose weights it can take too, narrowed to its own channels; ``None`` for none.
    """

    channels: tuple[int, int, int]
    wider: ClassVar[str | None] = None
    _is_frozen = False

    def freeze(self) -> None:
        """Freeze all of it, including the statistics of its BatchNorm."""
        self._is_frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Backbone:
        """Set the mode of the module; frozen, it stays in evaluation mode."""
        return super().train(mode and not self._is_frozen)

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Load a state dict of this backbone, or of the wider one.

        Raises:
            RuntimeError: It belongs to another network.
        """
        self.load_state_dict(state)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map [B, 3, H, W] to [B, channels[i], H / (8 * 2^i), W / (8 * 2^i)] for i = 0, 1, 2."""
        raise NotImplementedError


class StagedBackbone(Backbone):
    """A backbone of consecutive stages, the outputs of three of which are its levels.

    Args:
        stages: Stages to run in order.
        levels: Indices of the stages whose output is a level.
        channels: Number of channels of each level.
    """

    frozen: int

    def __init__(self, stages: nn.Sequential, levels: tuple[int, int, int], channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.stages = stages
        self.levels = levels
        self.channels = channels
        self.frozen = 0

    def freeze_stages(self, stages: int) -> None:
        """Freeze the first stages, including the statistics of their BatchNorm."""
        self.frozen = stages
        self.stages[:stages].requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> StagedBackbone:
        """Set the mode of the module; frozen stages stay in evaluation mode."""
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
    if torch.compiler.is_compiling():  # which exporting is: it takes ReLU6 apart, for seconds in a whole network
        return x.clamp(0, 6)
    return F.relu6(x, inplace=True)


class ConvNorm(nn.Module):
    """A convolution with an odd kernel, BatchNorm and an activation.

    Args:
        channels_in, channels, kernel, stride, groups: Arguments of the convolution.
        activation: Activation of the result.
        centred: Whether to pad all sides equally with stride 2; otherwise the padding is on the right and below only,
            as in TensorFlow.
    """

    conv: nn.Conv2d
    norm: nn.BatchNorm2d

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
        """Map [B, C, H, W] to [B, C', H / stride, W / stride]; H and W must be even if the stride is 2."""
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
    """Converts the project's input, RGB normalised by ImageNet's mean and deviation, to the units of another network.

    Args:
        less, by: The other network's input is RGB from 0 to 255, minus ``less``, divided by ``by``.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, *, less: float, by: float) -> None:
        super().__init__()
        mean, deviation = (255 * torch.tensor(value).view(1, 3, 1, 1) for value in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("gain", deviation / by, persistent=False)
        self.register_buffer("shift", (mean - less) / by, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convert [B, 3, H, W] to the same shape."""
        return x * self.gain + self.shift


def load_torchvision(network: nn.Module, weights: str | Path | None, published: type) -> None:
    """Load weights into a torchvision network: published ones by name (downloaded once), or those of a local file.

    Args:
        network: The network, changed in place.
        weights: A name in ``published``, a path to a state dict, or ``None`` to do nothing.
        published: The torchvision ``WeightsEnum`` of the network.

    Raises:
        ConfigError: ``weights`` is neither a published name nor a file.
        CheckpointError: The file is not a state dict of this network, or the published weights cannot be downloaded.
    """
    if weights is None:
        return
    names = list(published.__members__)  # type: ignore[attr-defined]
    known = str(weights) in names
    state = _fetch(published[str(weights)]) if known else read_state_dict(find_weights(weights, names))  # type: ignore[index]
    fill(network, state, type(network).__name__, weights)


def _fetch(weights: Any) -> dict[str, Tensor]:
    """Load the state dict of torchvision's published weights from its cache or its address."""
    try:
        found: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError, ValueError, EOFError, HTTPException, UnpicklingError) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise CheckpointError(
            f"the published weights {weights.name} cannot be downloaded from {weights.url}: {reason}; check the "
            "connection, or download that file by hand and name it with --trunk-weights or --side-weights"
        ) from error
    return found


def find_weights(weights: str | Path, names: Sequence[str] = ()) -> Path:
    """Find a file of weights.

    Args:
        weights: Path of the file.
        names: Names of published weights, for the error.

    Raises:
        ConfigError: The file does not exist.
    """
    path = Path(weights)
    if not path.is_file():
        known = f"; the published weights are {', '.join(names)}" if names else ""
        raise ConfigError(f"the weights {str(weights)!r} are not a file{known}")
    return path


def fill(network: nn.Module, state: dict[str, Tensor], name: str, source: str | Path) -> None:
    """Load a state dict into a network; the name and the source are used in the error.

    Raises:
        CheckpointError: It belongs to another network.
    """
    take = network.take if isinstance(network, Backbone) else network.load_state_dict
    try:
        take(state)
    except (RuntimeError, TypeError, AttributeError) as error:  # the last two: values that are not tensors
        raise CheckpointError(f"{source} does not fit {name}: {error}") from error


@torch.no_grad()
def adapt_statistics(backbone: nn.Module, images: Tensor) -> None:
    """Give every BatchNorm the statistics of real images, and a scale and shift that keep its output unchanged.

    This is for networks whose BatchNorm was folded, with running statistics (0, 1): without it, the first training step
    would normalise by the batch and compute something entirely different.

    Args:
        backbone: Network in evaluation mode, changed in place.
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
    """Read a state dict from a safetensors file or a PyTorch file; only tensors are unpickled.

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
    except Exception as error:  # pickle.UnpicklingError and similar: an unsafe or damaged file
        raise CheckpointError(f"{path} is damaged or holds more than tensors: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds a {type(state).__name__} instead of a state dict")
    return state
