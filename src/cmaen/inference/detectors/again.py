"""Repeated detection: in tiles, for images far larger than the detector's input, and in rotated images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.types import FaceBox

OVERLAP, MOST_TILES = 0.25, 64
"""Share of a tile that overlaps the next one, and maximum number of tiles."""
AT_BORDER = 0.01
"""Distance from a tile's border within which a face counts as cut off, relative to the tile's longer side."""
SAME = 0.6
"""Share of the smaller of two boxes from which both are the same face."""
Point = tuple[float, float]


class Tile(NamedTuple):
    """A part of an image, in its pixels."""

    left: int
    top: int
    right: int
    bottom: int


def cut_tiles(width: int, height: int, side: int) -> Iterator[Tile]:
    """Yield square tiles that cover an image and overlap by a quarter; larger ones if there would be too many."""
    across, down = _starts(width, side), _starts(height, side)
    while len(across) * len(down) > MOST_TILES:
        side *= 2
        across, down = _starts(width, side), _starts(height, side)
    for top in down:
        for left in across:
            yield Tile(left, top, min(left + side, width), min(top + side, height))


def _starts(length: int, side: int) -> list[int]:
    """Space the tiles evenly, and return where they begin."""
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * (1 - OVERLAP))) + 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def place(faces: Iterable[FaceBox], tile: Tile, width: int, height: int) -> Iterator[FaceBox]:
    """Move the faces of a tile into the image; those cut off by its border are left out, as the next tile has them."""
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
    """Map a face of a rotated image back into the original image.

    The landmarks keep the order of the upright face, so that the crop is rotated upright by the eyes.

    Args:
        face: Box in the rotated image.
        quarters: Number of anticlockwise quarter turns, 1 to 3, as in ``numpy.rot90``.
        width, height: Size of the original image.
    """
    turns = {
        1: lambda x, y: (width - y, x),
        2: lambda x, y: (width - x, height - y),
        3: lambda x, y: (y, height - x),
    }
    return _map(face, turns[quarters])


def merge(faces: Iterable[FaceBox], more: Iterable[FaceBox], *, better_by: float = 0.0) -> list[FaceBox]:
    """Merge two lists of faces; of boxes of the same face, only the one with the higher score is kept.

    Args:
        faces: Different faces.
        more: Further faces, which may be the same ones.
        better_by: Margin by which the score of one of ``more`` must be higher to replace one of ``faces``.
    """
    kept = list(faces)
    boxes = stack_boxes(kept)
    for face in sorted(more, key=lambda face: -face.score):
        same = np.flatnonzero(measure_shares(face, boxes) > SAME)
        if all(face.score >= kept[place].score + better_by for place in same):
            for place in reversed(same):
                del kept[place]
            kept.append(face)
            boxes = np.concatenate([np.delete(boxes, same, axis=0), stack_boxes([face])])
    return kept


def stack_boxes(faces: Sequence[FaceBox]) -> NDArray[np.float64]:
    """Stack x, y, width and height of the faces, [N, 4]."""
    return np.array([(face.x, face.y, face.width, face.height) for face in faces], np.float64).reshape(-1, 4)


def measure_shares(face: FaceBox, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the share of the smaller box that lies in the other, for a face and boxes [N, 4]: [N]."""
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
