"""Stage 2: bringing the two pathways together, and the feature pyramid over the result."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmaen.models.attention import CrossModal, CrossModalAttention


def resized_to(x: Tensor, like: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, H', W'] with the size of ``like``, by the nearest neighbour."""
    return x if x.shape[-2:] == like.shape[-2:] else F.interpolate(x, size=like.shape[-2:], mode="nearest")


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """The factor and the shift [C] of a batch norm that no longer learns."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return factor, norm.bias - norm.running_mean * factor


def _follow(conv: nn.Conv2d, factor: Tensor, shift: Tensor) -> None:
    """Let a convolution do what a factor and a shift after it would."""
    assert conv.bias is not None
    conv.weight *= factor[:, None, None, None]
    conv.bias.copy_(conv.bias * factor + shift)


class CrossModalFusion(nn.Module):
    """Cross-modal attention from E-CNN to the backbone and, if asked for, back.

    Args:
        ecnn_channels, backbone_channels: Of the last maps of the two pathways.
        dim: D, channels of the fused map.
        heads: Of the attention.
        bidirectional: Also let the backbone ask E-CNN ("dynamic information exchange between pathways").
    """

    def __init__(
        self, ecnn_channels: int, backbone_channels: int, *, dim: int, heads: int, bidirectional: bool
    ) -> None:
        super().__init__()
        self.forth = CrossModalAttention(ecnn_channels, backbone_channels, dim=dim, heads=heads)
        self.back = (
            CrossModalAttention(backbone_channels, ecnn_channels, dim=dim, heads=heads) if bidirectional else None
        )
        self.norm: nn.Module = nn.BatchNorm2d(dim)

    def forward(self, e: Tensor, f: Tensor, *, return_attention: bool = False) -> CrossModal:
        """E [B, C, H, W], f [B, C', H', W'] -> fused [B, D, H, W]."""
        fused, attention, back = self.forth(e, f, return_attention=return_attention)
        if self.back is not None:
            other, back, _ = self.back(f, e, return_attention=return_attention)
            fused = fused + resized_to(other, like=fused)
        return CrossModal(F.relu(self.norm(fused)), attention, back)

    @torch.no_grad()
    def fold_norm(self) -> None:
        """Move the norm, and gamma, into the convolutions before them: the same answers for less work, no training."""
        factor, shift = _affine(self.norm)
        none = torch.zeros_like(shift)
        for attention, constant in ((self.forth, shift), (self.back, none)):
            if attention is not None:
                _follow(attention.value, factor * attention.gamma, none)
                _follow(attention.proj, factor, constant)
                attention.gamma.fill_(1)
        self.norm = nn.Identity()


class AdditiveFusion(nn.Module):
    """What is left without cross-modal attention: the projected maps of whichever pathways there are, added.

    Args:
        ecnn_channels, backbone_channels: Of the last maps; ``None`` for a pathway that is switched off.
        dim: D, channels of the fused map.
    """

    def __init__(self, ecnn_channels: int | None, backbone_channels: int | None, *, dim: int) -> None:
        super().__init__()
        self.ecnn_proj = nn.Conv2d(ecnn_channels, dim, 1) if ecnn_channels else None
        self.backbone_proj = nn.Conv2d(backbone_channels, dim, 1) if backbone_channels else None
        self.norm: nn.Module = nn.BatchNorm2d(dim)

    def forward(self, e: Tensor | None, f: Tensor | None, *, return_attention: bool = False) -> CrossModal:
        """E [B, C, H, W], f [B, C', H', W'] -> fused [B, D, H, W] with the size of e, or of f where there is no e."""
        parts = []
        if e is not None and self.ecnn_proj is not None:
            parts.append(self.ecnn_proj(e))
        if f is not None and self.backbone_proj is not None:
            parts.append(self.backbone_proj(f))
        fused = sum((resized_to(part, like=parts[0]) for part in parts[1:]), start=parts[0])
        return CrossModal(F.relu(self.norm(fused)), None)

    @torch.no_grad()
    def fold_norm(self) -> None:
        """Move the norm into the projections before it: the same answers for less work, no training."""
        factor, shift = _affine(self.norm)
        projections = [part for part in (self.ecnn_proj, self.backbone_proj) if part is not None]
        for projection, constant in zip(projections, (shift, torch.zeros_like(shift)), strict=False):
            _follow(projection, factor, constant)
        self.norm = nn.Identity()


class FeaturePyramid(nn.Module):
    """Top-down pyramid over three levels and the fused map (Lin et al., 2017).

    Args:
        level_channels: Of the three levels, from fine to coarse.
        fused_channels: Of the fused map, the top.
        dim: P, channels of every level of the pyramid.
    """

    def __init__(self, level_channels: tuple[int, ...], fused_channels: int, *, dim: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, dim, 1) for channels in (*level_channels, fused_channels))
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU())
            for _ in self.lateral
        )

    def forward(self, levels: tuple[Tensor, ...], fused: Tensor) -> list[Tensor]:
        """Levels [B, C_i, H_i, W_i] from fine to coarse, fused [B, D, H, W] -> as many maps [B, P, H_i, W_i]."""
        maps: list[Tensor] = []
        for x, lateral in zip((fused, *reversed(levels)), reversed(self.lateral), strict=True):
            top = lateral(x)
            maps.append(top + resized_to(maps[-1], like=top) if maps else top)
        return [smooth(x) for x, smooth in zip(maps, reversed(self.smooth), strict=True)]
