"""The light networks of the package: a small SwinIR and a small DDColor, for faces on an ordinary CPU."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALE = 4
COLOUR_SIDE = 96
"""Side in pixels at which faces are coloured; chroma changes slowly and is enlarged to the face's own side."""

_WIDTHS = (32, 64, 128, 192)
_QUERIES = 48
_QUERY_WIDTH = 64
_AB = 50.0
_BILINEAR = (  # weights of the pixels before, at and after, for each of the four output pixels
    (3 / 8, 5 / 8, 0.0),
    (1 / 8, 7 / 8, 0.0),
    (0.0, 7 / 8, 1 / 8),
    (0.0, 5 / 8, 3 / 8),
)


def light_swinir() -> nn.Module:
    """Build SwinIR (Liang et al., 2021) with 0.24 M parameters, RGB [B, 3, H, W] -> [B, 3, 4 H, 4 W] in [0, 1].

    It is the lightweight variant with fewer and narrower blocks, so its weights are read like the authors'. Before
    training it is a bilinear interpolation; it learns what is missing.
    """
    from spandrel.architectures.SwinIR import SwinIR

    with quiet():
        network: nn.Module = SwinIR(
            upscale=SCALE,
            img_size=48,
            window_size=8,
            embed_dim=48,
            depths=[4, 4],
            num_heads=[4, 4],
            mlp_ratio=2.0,
            upsampler="pixelshuffledirect",
        )
    _begin_as_interpolation(network)
    return network


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress PyTorch's warnings about third-party code."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid")
        yield


@torch.no_grad()
def _begin_as_interpolation(network: nn.Module) -> None:
    """Pass the three colours through the first channels, and make the last convolution interpolate them."""
    weights = network.state_dict()
    for name in ("conv_after_body.weight", "conv_after_body.bias", "upsample.0.bias"):
        weights[name].zero_()
    first, bias, last = (weights[name] for name in ("conv_first.weight", "conv_first.bias", "upsample.0.weight"))
    last.mul_(0.1)
    taps = torch.tensor(_BILINEAR)
    kernels = torch.einsum("yi,xj->yxij", taps, taps).flatten(0, 1)  # [4, 3] twice -> [16, 3, 3]
    for colour in range(3):
        first[colour], bias[colour] = 0, 0
        first[colour, colour, 1, 1] = 1
        made = slice(16 * colour, 16 * (colour + 1))
        last[made, :3] = 0
        last[made, colour] = kernels


class LightDDColor(nn.Module):
    """DDColor (Kang et al., 2023) with 2 M parameters: colour queries that attend to a face at three scales.

    A convolutional encoder and a pixel decoder compute maps of the grey face; colour queries attend to three of them,
    one after the other; the similarity of each query to the finest map gives the places of its colour, and a last
    convolution turns all of them into the two chroma channels. The authors' encoder, a ConvNeXt, alone has 28 M.
    """

    input_size = (COLOUR_SIDE, COLOUR_SIDE)
    QUERIES = "colour_queries"
    """The key that identifies its weights: no other network has it."""

    def __init__(self) -> None:
        super().__init__()
        stem, *deeper = _WIDTHS
        self.stem = _convolution(1, stem, stride=2)
        self.encoder = nn.ModuleList(
            nn.Sequential(_convolution(narrow, wide, stride=2), _Residual(wide))
            for narrow, wide in zip(_WIDTHS, deeper, strict=False)
        )
        self.decoder = nn.ModuleList(
            _Enlarging(wide, narrow) for wide, narrow in zip(_WIDTHS[:0:-1], _WIDTHS[-2::-1], strict=True)
        )
        sides = [COLOUR_SIDE // 8, COLOUR_SIDE // 4, COLOUR_SIDE // 2]
        self.keys = nn.ModuleList(nn.Conv2d(width, _QUERY_WIDTH, 1) for width in _WIDTHS[-2::-1])
        self.positions = nn.ParameterList(
            nn.Parameter(0.02 * torch.randn(1, side * side, _QUERY_WIDTH)) for side in sides
        )
        self.colour_queries = nn.Parameter(torch.randn(1, _QUERIES, _QUERY_WIDTH))
        self.colour_decoder = nn.ModuleList(
            nn.TransformerDecoderLayer(
                _QUERY_WIDTH, 4, 2 * _QUERY_WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in sides
        )
        self.norm = nn.LayerNorm(_QUERY_WIDTH)
        self.places = nn.Conv2d(stem, _QUERY_WIDTH, 1)
        self.chroma = nn.Conv2d(_QUERIES + stem, 2, 1)
        nn.init.zeros_(self.chroma.bias)  # type: ignore[arg-type]

    def forward(self, grey: Tensor) -> Tensor:
        """Predict chroma (a and b of CIELAB), [B, 2, 96, 96], from grey RGB in [0, 1], [B, 3, 96, 96]."""
        x = self.stem(2 * grey[:, :1] - 1)
        maps = [x]
        for stage in self.encoder:
            maps.append(stage(maps[-1]))
        x = maps.pop()
        queries = self.colour_queries.expand(x.shape[0], -1, -1)
        for enlarging, attention, key, positions in zip(
            self.decoder, self.colour_decoder, self.keys, self.positions, strict=True
        ):
            x = enlarging(x, maps.pop())
            tokens = key(x).flatten(2).transpose(1, 2)  # [B, C, H, W] -> [B, H * W, C]
            queries = attention(queries, tokens + positions)
        likeness = torch.einsum("bqc,bchw->bqhw", self.norm(queries), self.places(x)) / _QUERY_WIDTH**0.5
        chroma = _AB * self.chroma(torch.cat([likeness, x], dim=1))
        return F.interpolate(chroma, scale_factor=2, mode="bilinear")


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class _Enlarging(nn.Module):
    """Enlarges a map to twice its side and joins it with the encoder's map of that side."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.enlarge = nn.Sequential(nn.Conv2d(wide, 4 * narrow, 1), nn.PixelShuffle(2))
        self.join = _convolution(2 * narrow, narrow)

    def forward(self, x: Tensor, skipped: Tensor) -> Tensor:
        """Join [B, wide, H, W] and [B, narrow, 2 H, 2 W] into [B, narrow, 2 H, 2 W]."""
        return self.join(torch.cat([self.enlarge(x), skipped], dim=1))  # type: ignore[no-any-return]


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(True)
    )
