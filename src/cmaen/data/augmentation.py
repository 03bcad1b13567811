"""Emotion-preserving augmentation of whole batches: a face stays a face of the same emotion."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(
    images: Tensor,
    size: int,
    generator: torch.Generator,
    *,
    rotation: float = 15.0,
    zoom: tuple[float, float] = (0.8, 1.08),
    shift: float = 0.1,
    contrast: float = 0.3,
    brightness: float = 30.0,
    erase: float = 0.3,
) -> Tensor:
    """Mirror, rotate, zoom, shift, re-light and partly hide a batch, resampled once, straight to the network's size.

    Args:
        images: uint8 [B, H, W], grey.
        size: Side of the result.
        generator: The source of all randomness.
        rotation: At most so many degrees to either side.
        zoom: Range of the part of the side that is seen: below 1 enlarges.
        shift: At most this part of the side.
        contrast: Contrast is multiplied by 1 plus or minus this.
        brightness: At most so many grey levels are added or taken.
        erase: Probability that a random rectangle of 10 to 35 % of the side is replaced by noise (Zhong et al., 2020).

    Returns:
        float32 [B, 1, size, size] on the scale 0 to 255.
    """
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle = uniform(-rotation, rotation) * (math.pi / 180)
    scale = uniform(*zoom)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [
        torch.stack([cosine * mirror, -sine, uniform(-shift, shift)], dim=1),
        torch.stack([sine * mirror, cosine, uniform(-shift, shift)], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), [count, 1, size, size], align_corners=False)
    faces = F.grid_sample(images[:, None].float(), grid, padding_mode="border", align_corners=False)

    mean = faces.mean(dim=(1, 2, 3), keepdim=True)
    gain = uniform(1 - contrast, 1 + contrast).view(-1, 1, 1, 1)
    faces = (faces - mean) * gain + mean + uniform(-brightness, brightness).view(-1, 1, 1, 1)
    return _erase(faces.clamp_(0, 255), generator, erase)


def _erase(faces: Tensor, generator: torch.Generator, probability: float) -> Tensor:
    size = faces.shape[-1]
    chosen = torch.rand(len(faces), generator=generator) < probability
    for index in chosen.nonzero().flatten().tolist():
        fractions = torch.rand(4, generator=generator).tolist()
        height, width = (max(1, int(size * (0.1 + 0.25 * f))) for f in fractions[:2])
        top, left = (int(f * (size - side)) for f, side in zip(fractions[2:], (height, width), strict=True))
        noise = torch.rand((height, width), generator=generator) * 255
        faces[index, 0, top : top + height, left : left + width] = noise
    return faces


def rand_augment(faces: Tensor, generator: torch.Generator, operations: int, magnitude: float) -> Tensor:
    """So many different photometric operations on each face, drawn at random (after Cubuk et al., 2020).

    Only what cameras and files do to a face is among them, never what changes its expression: :data:`OPERATIONS`.

    Args:
        faces: float32 [B, 1, S, S] on the scale 0 to 255.
        generator: The source of all randomness.
        operations: For each face, from 0 to the number of operations there are.
        magnitude: In (0, 1]; each operation draws its strength from 0 to this.

    Returns:
        The same shape, dtype and scale.
    """
    if not operations:
        return faces
    faces = faces.clone()
    ranks = torch.rand((len(OPERATIONS), len(faces)), generator=generator).argsort(dim=0).argsort(dim=0)
    for operation, rank in zip(OPERATIONS, ranks, strict=True):
        rows = (rank < operations).nonzero().flatten()
        if len(rows):
            strength = (torch.rand(len(rows), generator=generator) * magnitude).view(-1, 1, 1, 1)
            faces[rows] = operation(faces[rows], strength, generator).clamp_(0, 255)
    return faces


def gamma(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Darker or lighter midtones: an exponent between 1/2 and 2 at full strength."""
    return 255 * (faces / 255) ** (2 ** (strength * _sign(strength, generator)))


def sharpness(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Blurred by a mean over 5 x 5 pixels, or as much sharper, at full strength."""
    blurred = F.avg_pool2d(F.pad(faces, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    return faces + strength * _sign(strength, generator) * (faces - blurred)


def noise(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise, deviation 30 grey levels at full strength."""
    return faces + 30 * strength * torch.randn(faces.shape, generator=generator)


def side_light(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Light from a random side: 100 grey levels more there and less across, at full strength."""
    angle = 2 * math.pi * torch.rand(strength.shape, generator=generator)
    axis = torch.linspace(-1, 1, faces.shape[-1])
    return faces + 100 * strength * (torch.cos(angle) * axis + torch.sin(angle) * axis[:, None])


def fewer_pixels(faces: Tensor, strength: Tensor, _: torch.Generator) -> Tensor:
    """Scaled down, to a third of the side at full strength, and up again; all chosen faces by their mean strength."""
    side = max(8, round(faces.shape[-1] * (1 - float(strength.mean()) * 2 / 3)))
    small = F.interpolate(faces, size=side, mode="bilinear", antialias=True)
    return F.interpolate(small, size=faces.shape[-1], mode="bilinear")


def fewer_levels(faces: Tensor, strength: Tensor, _: torch.Generator) -> Tensor:
    """Rounded to multiples of a step, 48 grey levels at full strength."""
    step = (48 * strength).clamp_min(1)
    return (faces / step).round() * step


OPERATIONS = (gamma, sharpness, noise, side_light, fewer_pixels, fewer_levels)


def _sign(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.where(torch.rand(like.shape, generator=generator) < 0.5, -1.0, 1.0)
