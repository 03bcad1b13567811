"""What the card of a network says about enhancement: which faces were enhanced, by which steps, with which weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cmaen.data.restoration import Faces
from cmaen.data.tree import FACES, steps_of
from cmaen.errors import EnhancementError
from cmaen.preprocessing import PreprocessSpec, resize

_GREY, _COLOUR = "grey", "colour"
LARGEST_SIDE = 512
"""Maximum side in pixels of a crop that is enhanced; enlarged fourfold, it takes about a gigabyte."""
_CHECKSUM = re.compile("[0-9a-f]{8,64}")


class Step(Protocol):
    """A step of the chain.

    Attributes:
        name: One of :data:`cmaen.enhance.steps.STEPS`.
        weights: SHA-256 of the weights file.
    """

    name: str
    weights: str

    def __call__(self, faces: Faces) -> Faces:
        """Enhance RGB uint8 [B, H, W, 3] to RGB uint8 [B, H', W', 3]."""
        ...


class NamedStep(NamedTuple):
    """A step as a card names it.

    Attributes:
        name: Name of the step.
        weights: First digits of the SHA-256 of its weights file.
    """

    name: str
    weights: str


@dataclass(frozen=True, slots=True)
class EnhancedFaces:
    """The faces that were enhanced: what a crop must become before the first step.

    Attributes:
        side: Side in pixels.
        grey: Whether they have no colour.
    """

    side: int = 48
    grey: bool = True

    @classmethod
    def of(cls, faces: Sequence[NDArray[np.uint8]]) -> EnhancedFaces:
        """Describe some faces, RGB uint8 [H, W, 3]: their middle size, and grey only if all of them are.

        Faces larger than :data:`LARGEST_SIDE` are described by that side, to which prediction then reduces crops.
        """
        sides = sorted(min(face.shape[:2]) for face in faces)
        return cls(min(sides[len(sides) // 2], LARGEST_SIDE), all((face == face[..., :1]).all() for face in faces))

    def __str__(self) -> str:
        return f"{FACES} {self.side}-{_GREY if self.grey else _COLOUR}"

    @property
    def spec(self) -> PreprocessSpec:
        """The reduction of a crop to these faces."""
        return PreprocessSpec(image_size=self.side, grey=self.grey, source_size=self.side)

    def __call__(self, crops: Sequence[NDArray[np.uint8]]) -> Faces:
        """Convert crops of any size, uint8 [h, w, 3] RGB or [h, w] grey, to RGB uint8 [B, side, side, 3]."""
        found = [resize(self.spec.reduce(crop), self.side) for crop in crops]
        return np.stack([face if face.ndim == 3 else face[..., None].repeat(3, axis=2) for face in found])


@dataclass(frozen=True, slots=True)
class Recipe:
    """How faces are enhanced.

    Attributes:
        faces: The faces before the first step.
        steps: The steps, in order; empty if nothing is enhanced.
    """

    faces: EnhancedFaces = EnhancedFaces()
    steps: tuple[NamedStep, ...] = ()

    @classmethod
    def parse(cls, enhancement: Sequence[str]) -> Recipe:
        """Read the entries of :attr:`cmaen.checkpoints.Card.enhancement`.

        Cards of older versions do not describe the faces; they are then assumed to be FER2013's.

        Raises:
            EnhancementError: An entry cannot be read.
        """
        steps = steps_of(enhancement)
        faces = [entry for entry in enhancement if entry not in steps]
        return cls(_parse_faces(faces[0]) if faces else EnhancedFaces(), tuple(map(_parse_step, steps)))


def _parse_faces(entry: str) -> EnhancedFaces:
    side, _, colour = entry.removeprefix(FACES).strip().partition("-")
    if not (side.isascii() and side.isdigit() and 1 <= int(side[:8]) <= LARGEST_SIDE and colour in (_GREY, _COLOUR)):
        raise EnhancementError(
            f"the card describes the enhanced faces as {entry!r}, which this version cannot read; it reads entries "
            f"like {str(EnhancedFaces())!r}: update cmaen, or train the network again"
        )
    return EnhancedFaces(int(side), colour == _GREY)


def _parse_step(entry: str) -> NamedStep:
    name, _, weights = entry.partition(" ")
    if not (name and _CHECKSUM.fullmatch(weights)):
        raise EnhancementError(
            f"the card names the enhancement step {entry!r} without the checksum of its weights, so they cannot be "
            "found: enhance the faces with cmaen enhance, and train the network on them"
        )
    return NamedStep(name, weights)
