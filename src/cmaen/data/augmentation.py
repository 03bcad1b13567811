"""Emotion-preserving augmentation of whole batches: a face keeps its emotion.

The faces may lie on any device. Random numbers are drawn on the CPU, so that they are the same on any device, and so
that the CPU never waits for a GPU.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from cmaen.areas import average_areas
from cmaen.spec import Spec

_SOURCE = 48
"""Side of FER2013's faces; noise and blur are measured in its pixels."""


Side = Annotated[int, Field(ge=8)]


class AugmentSpec(Spec):
    """The augmentation of the faces of Training."""

    vary: bool = Field(
        True,
        description="Mirror, rotate, zoom, shift, re-light and partly hide faces; false also switches off operations.",
    )
    operations: int = Field(0, ge=0, le=8, description="Number of random photometric operations on each face.")
    magnitude: float = Field(0.5, gt=0, le=1, description="Strength of these operations.")
    mixup: float = Field(0.0, ge=0, description="Alpha of mixup; 0 switches it off.")
    cutmix: float = Field(
        0.0, ge=0, description="Alpha of CutMix; 0 switches it off. If both are on, each batch uses one."
    )
    source_sides: tuple[Side, Side] = Field(
        (32, 112),
        description="Range of sides in pixels: unlabelled faces are reduced to a random one and enlarged again.",
    )
    weighted: bool = Field(False, description="Draw all emotions equally often, like cmaen balance --method weighted.")

    @field_validator("source_sides")
    @classmethod
    def _rise(cls, sides: tuple[int, int]) -> tuple[int, int]:
        if sides[0] > sides[1]:
            raise ValueError("the first side must not exceed the second, as in [32, 112]")
        return sides


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
    """Mirror, rotate, zoom, shift, re-light and partly hide a batch, resampled once, directly to the network's size.

    Larger faces are first reduced by area, as in prediction: sampling single pixels would keep all of their noise.

    Args:
        images: uint8 [B, H, W], grey, or [B, H, W, 3], on any device.
        size: Side of the result in pixels.
        generator: The source of all randomness, on the CPU.
        rotation: Maximum rotation in degrees, either way.
        zoom: Range of the visible share of the side; below 1, the face is enlarged.
        shift: Maximum shift, as a share of the side.
        contrast: Maximum change of the contrast factor, which is 1 plus or minus this.
        brightness: Maximum change of brightness in grey levels, either way.
        erase: Probability that noise replaces a random rectangle of 10 to 35 % of the side (Zhong et al., 2020).

    Returns:
        float32 [B, 1, size, size], or [B, 3, size, size], on the scale 0 to 255.
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
    places = torch.stack(rows, dim=1).to(images.device)  # [B, 2, 3]
    grid = F.affine_grid(places, [count, 1, size, size], align_corners=False)
    channels_first = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    pixels = channels_first.float()
    if min(pixels.shape[-2:]) > size:
        pixels = average_areas(pixels, size)
    faces = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)

    mean = faces.mean(dim=(1, 2, 3), keepdim=True)
    light = torch.stack([uniform(1 - contrast, 1 + contrast), uniform(-brightness, brightness)])
    gain, offset = light.to(images.device).view(2, -1, 1, 1, 1)  # [B, 1, 1, 1] each
    faces = (faces - mean) * gain + mean + offset
    return _erase(faces.clamp_(0, 255), generator, erase)


def _erase(faces: Tensor, generator: torch.Generator, probability: float) -> Tensor:
    count, size = len(faces), faces.shape[-1]
    chosen = torch.rand((count, 1), generator=generator) < probability
    sides = (size * (0.1 + 0.25 * torch.rand((count, 2), generator=generator))).int().clamp_min(1)
    first = ((size - sides) * torch.rand((count, 2), generator=generator)).int()[..., None]  # [B, 2, 1]
    last = first + (sides * chosen)[..., None]
    places = torch.arange(size)
    rows, columns = ((first <= places) & (places < last)).to(faces.device).unbind(1)  # [B, size] each
    noise = 255 * torch.rand((size, size), generator=generator).to(faces.device)
    return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], noise, faces)


def rand_augment(faces: Tensor, generator: torch.Generator, operations: int, magnitude: float) -> Tensor:
    """Apply a number of different photometric operations to each face, drawn at random (after Cubuk et al., 2020).

    The operations imitate cameras and files, and never change the expression of a face: :data:`OPERATIONS`.

    Args:
        faces: float32 [B, 1 or 3, S, S] on the scale 0 to 255, on any device.
        generator: The source of all randomness, on the CPU.
        operations: Number of operations on each face, from 0 to that of all operations.
        magnitude: Maximum strength in (0, 1]; each operation draws its strength from 0 to this.

    Returns:
        Faces of the same shape, dtype and scale.
    """
    if not operations:
        return faces
    faces = faces.clone()
    ranks = torch.rand((len(OPERATIONS), len(faces)), generator=generator).argsort(dim=0).argsort(dim=0)
    for operation, rank in zip(OPERATIONS, ranks, strict=True):
        rows = (rank < operations).nonzero().flatten()
        if len(rows):
            strength = (torch.rand(len(rows), generator=generator) * magnitude).view(-1, 1, 1, 1)
            there = rows.to(faces.device)
            faces[there] = operation(faces[there], strength, generator).clamp_(0, 255)
    return faces


def reduce_sources(faces: Tensor, generator: torch.Generator, sides: tuple[int, int]) -> Tensor:
    """Reduce each face to a random side and enlarge it again, as if a camera with fewer pixels had seen it.

    Args:
        faces: float32 [B, 1 or 3, S, S], on any device.
        generator: The source of all randomness, on the CPU.
        sides: The smallest and the largest side in pixels; a side of S or more leaves the face unchanged.

    Returns:
        Faces of the same shape, dtype and scale.
    """
    side, faces = faces.shape[-1], faces.clone()
    least, most = sides
    drawn = torch.randint(least // 8, most // 8 + 1, (len(faces),), generator=generator) * 8
    for source in torch.unique(drawn).tolist():
        if source >= side:
            continue
        there = (drawn == source).nonzero().flatten().to(faces.device)
        small = F.interpolate(faces[there], size=source, mode="area")
        faces[there] = F.interpolate(small, size=side, mode="bilinear")
    return faces


def gamma(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Darken or lighten the midtones: the exponent is between 1/2 and 2 at full strength."""
    exponent = torch.exp2(strength * _sign(strength, generator))
    return 255 * torch.pow(faces / 255, exponent.to(faces.device))


def sharpness(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Blur by a mean over 5 x 5 pixels, or sharpen by as much, at full strength."""
    blurred = F.avg_pool2d(F.pad(faces, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    return faces + (strength * _sign(strength, generator)).to(faces.device) * (faces - blurred)


def blur(faces: Tensor, strength: Tensor, _: torch.Generator) -> Tensor:
    """Apply Gaussian blur, each face with its own deviation: 2 of 48 pixels at full strength."""
    deviation = (2 * strength * faces.shape[-1] / _SOURCE).clamp_min(1e-3).view(-1, 1)  # [B, 1]
    reach = math.ceil(2.5 * float(deviation.max()))
    kernel = torch.softmax(-(torch.arange(-reach, reach + 1) ** 2) / (2 * deviation**2), dim=1)  # [B, 2 reach + 1]
    kernel = kernel.repeat_interleave(faces.shape[1], dim=0)[:, None].to(faces.device)  # [B * C, 1, 2 reach + 1]
    padded = F.pad(faces, (reach,) * 4, mode="replicate").flatten(0, 1)[None]  # [B, C, S', S'] -> [1, B * C, S', S']
    across = F.conv2d(padded, kernel[:, :, None], groups=len(kernel))
    return F.conv2d(across, kernel[..., None], groups=len(kernel)).view_as(faces)


def noise(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise in the pixels of a face of 48 x 48; its deviation is 36 grey levels at full strength."""
    grains = torch.randn((len(faces), 1, _SOURCE, _SOURCE), generator=generator)
    return faces + F.interpolate((36 * strength * grains).to(faces.device), size=faces.shape[-1], mode="bilinear")


def darkness(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Dim the light to 12 % at full strength, with sensor noise that grows as it fades."""
    return noise(faces * (1 - 0.88 * strength).to(faces.device), strength / 9, generator)


def side_light(faces: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Light the face from a random side: 100 grey levels brighter there and darker across, at full strength."""
    angle = 2 * math.pi * torch.rand(strength.shape, generator=generator)
    across, down = ((100 * strength * turned).to(faces.device) for turned in (torch.cos(angle), torch.sin(angle)))
    axis = torch.linspace(-1, 1, faces.shape[-1], device=faces.device)
    return faces + across * axis + down * axis[:, None]


def fewer_pixels(faces: Tensor, strength: Tensor, _: torch.Generator) -> Tensor:
    """Reduce in eight steps of strength, to a quarter of the side at full strength, and enlarge again."""
    steps = (8 * strength.view(-1)).round()
    side, faces = faces.shape[-1], faces.clone()
    for step in torch.unique(steps).tolist():
        there = (steps == step).nonzero().flatten().to(faces.device)
        small = F.interpolate(faces[there], size=round(side * (1 - 0.75 * step / 8)), mode="area")
        faces[there] = F.interpolate(small, size=side, mode="bilinear")
    return faces


def fewer_levels(faces: Tensor, strength: Tensor, _: torch.Generator) -> Tensor:
    """Round to multiples of a step: 48 grey levels at full strength."""
    step = (48 * strength).clamp_min(1).to(faces.device)
    return (faces / step).round() * step


OPERATIONS = (gamma, sharpness, blur, noise, side_light, darkness, fewer_pixels, fewer_levels)


def _sign(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.where(torch.rand(like.shape, generator=generator) < 0.5, -1.0, 1.0)
