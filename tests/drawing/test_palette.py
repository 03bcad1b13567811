"""The colours of the emotions can be distinguished with every kind of colour vision, and are visible on white."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from cmaen.drawing import PALETTE
from cmaen.drawing.style import colour_of
from cmaen.types import PERCEIVED_LABELS

VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Matrices on linear RGB: Machado, Oliveira and Fernandes (2009), severity 1."""
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
LEAST_DIFFERENCE = 18
LEAST_CONTRAST = 3


def linear(name: str) -> NDArray[np.float64]:
    """Return the linear RGB [3] of a colour (IEC 61966-2-1)."""
    value = np.array(colour_of(name, ()), np.float64) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the CIE L*a*b* [3] of linear RGB, under illuminant D65."""
    xyz = XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_every_emotion_has_a_colour() -> None:
    assert set(PALETTE) == set(PERCEIVED_LABELS)


@pytest.mark.parametrize("vision", VISION)
def test_two_emotions_differ_with_every_colour_vision(vision: str) -> None:
    seen = {name: lab(VISION[vision] @ linear(name)) for name in PALETTE}
    distances = {pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in combinations(PALETTE, 2)}
    nearest = min(distances, key=distances.__getitem__)
    assert distances[nearest] >= LEAST_DIFFERENCE, f"{nearest}: CIE76 {distances[nearest]:.1f}"


@pytest.mark.parametrize("name", PALETTE)
def test_every_colour_stands_out_on_white(name: str) -> None:
    luminance = float(XYZ[1] @ linear(name))
    assert 1.05 / (luminance + 0.05) >= LEAST_CONTRAST
