"""People who are as easy to tell apart as their colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmaen.inference.people.circle import Circle
from cmaen.inference.people.embedding import Look
from cmaen.inference.people.gallery import Known
from cmaen.inference.tracking import Track
from cmaen.types import FaceBox

ADA, BEN, CAT, DAN = (np.eye(6, dtype=np.float32)[number] for number in range(4))
COLOURS = {(200, 0, 0): ADA, (0, 200, 0): BEN, (0, 0, 200): CAT, (200, 200, 0): DAN}
SMALL = 10


def paint(*people: tuple[tuple[int, int, int], FaceBox], size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """A picture with a patch of colour for each person, uint8 [120, 160, 3]."""
    image = np.full((*size, 3), 128, np.uint8)
    for colour, face in people:
        left, top = int(face.x), int(face.y)
        image[top : top + int(face.height), left : left + int(face.width)] = colour
    return image


def find_patches(image: np.ndarray) -> list[FaceBox]:
    """The patches of a picture, as a detector would find them."""
    faces = []
    for colour in COLOURS:
        down, across = np.nonzero((image == colour).all(axis=2))
        if len(down):
            left, top = int(across.min()), int(down.min())
            faces.append(FaceBox(left, top, int(across.max()) - left + 1, int(down.max()) - top + 1))
    return faces


class ByPatch:
    """An embedder that knows everybody by the colour in the middle of the face; small faces cannot be compared."""

    size = 6

    def __init__(self) -> None:
        self.looked = 0

    def look(self, image: np.ndarray, faces: Sequence[FaceBox]) -> list[Look | None]:
        self.looked += len(faces)
        looks: list[Look | None] = []
        for face in faces:
            middle = image[int(face.y + face.height / 2), int(face.x + face.width / 2)]
            features = COLOURS.get(tuple(middle.tolist()))
            quality = min(face.width / 40, 1.0)
            looks.append(None if features is None or face.width <= SMALL else Look(features, quality))
        return looks


def know(name: str, *features: np.ndarray, excluded: bool = False) -> Known:
    return Known(name, np.stack(features), len(features), excluded)


def make_circle(**options: object) -> Circle:
    return Circle(ByPatch(), **options)  # type: ignore[arg-type]


def track(number: int, face: FaceBox, *, fresh: bool = True) -> Track:
    return Track(number, face, 0.0, resumed=fresh)
