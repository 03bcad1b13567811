"""Looking at a picture again: in tiles where it is far larger than the detector's input, and turned."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.types import FaceBox

OVERLAP, MOST_TILES = 0.25, 64
"""How much of a tile lies over the next one, and how many there are at most."""
AT_BORDER = 0.01
"""Of a tile's longer side: faces that come so near to its border are cut by it."""
SAME = 0.6
"""The share of the smaller of two boxes from which they are one face."""
Point = tuple[float, float]


class Tile(NamedTuple):
    """A part of a picture, in its pixels."""

    left: int
    top: int
    right: int
    bottom: int


def cut_tiles(width: int, height: int, side: int) -> Iterator[Tile]:
    """Square parts that cover a picture, a quarter over each other; larger ones where they would be too many."""
    across, down = _starts(width, side), _starts(height, side)
    while len(across) * len(down) > MOST_TILES:
        side *= 2
        across, down = _starts(width, side), _starts(height, side)
    for top in down:
        for left in across:
            yield Tile(left, top, min(left + side, width), min(top + side, height))


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin, evenly."""
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * (1 - OVERLAP))) + 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def place(faces: Iterable[FaceBox], tile: Tile, width: int, height: int) -> Iterator[FaceBox]:
    """The faces of a tile in the picture; those that its border cuts are whole in the next tile, and left out."""
    slack = AT_BORDER * max(tile.right - tile.left, tile.bottom - tile.top)
    for face in faces:
        moved = _map(face, lambda x, y: (x + tile.left, y + tile.top))
        cut = (
            (tile.left > 0 and moved.x < tile.left + slack)
            or (tile.top > 0 and moved.y < tile.top + slack)
            or (tile.right < width and moved.x + moved.width > tile.right - slack)
            or (tile.bottom < height and moved.y + moved.height > tile.bottom - slack)
        )
        if not cut:
            yield moved


def turn_back(face: FaceBox, quarters: int, width: float, height: float) -> FaceBox:
    """A face of a picture that was turned by so many quarters against the clock, in the picture as it was.

    Its landmarks keep their order, that of the upright face, so that its crop is turned upright by its eyes.

    Args:
        face: In the turned picture.
        quarters: 1 to 3, as of ``numpy.rot90``.
        width, height: Of the picture as it was.
    """
    turns = {
        1: lambda x, y: (width - y, x),
        2: lambda x, y: (width - x, height - y),
        3: lambda x, y: (y, height - x),
    }
    return _map(face, turns[quarters])


def merge(faces: Iterable[FaceBox], more: Iterable[FaceBox], *, better_by: float = 0.0) -> list[FaceBox]:
    """All faces, and of those that are the same the one that is surer.

    Args:
        faces: Different ones.
        more: Some that may be the same.
        better_by: How much surer one of those must be to replace one of ``faces``.
    """
    kept = list(faces)
    boxes = _boxes(kept)
    for face in sorted(more, key=lambda face: -face.score):
        same = np.flatnonzero(_share(face, boxes) > SAME)
        if all(face.score >= kept[place].score + better_by for place in same):
            for place in reversed(same):
                del kept[place]
            kept.append(face)
            boxes = np.concatenate([np.delete(boxes, same, axis=0), _boxes([face])])
    return kept


def _boxes(faces: Sequence[FaceBox]) -> NDArray[np.float64]:
    """x, y, width and height, [N, 4]."""
    return np.array([(face.x, face.y, face.width, face.height) for face in faces], np.float64).reshape(-1, 4)


def _share(face: FaceBox, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of the smaller box lies in the other, for a face and each of the boxes [N, 4]: [N]."""
    x, y, width, height = boxes.T
    across = np.minimum(face.x + face.width, x + width) - np.maximum(face.x, x)
    down = np.minimum(face.y + face.height, y + height) - np.maximum(face.y, y)
    return np.asarray(np.maximum(across, 0) * np.maximum(down, 0) / np.minimum(face.area, width * height))


def _map(face: FaceBox, move: Callable[[float, float], Point]) -> FaceBox:
    corners = (move(face.x, face.y), move(face.x + face.width, face.y + face.height))
    left, right = sorted(x for x, _ in corners)
    top, bottom = sorted(y for _, y in corners)
    marks = None if face.landmarks is None else tuple(move(x, y) for x, y in face.landmarks)
    return replace(face, x=left, y=top, width=right - left, height=bottom - top, landmarks=marks)
