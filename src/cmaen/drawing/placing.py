"""Placement of tags beside their faces, never over other faces or tags; pure functions of rectangles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

INSIDE, LAST_INSIDE = 0.3, 0.6
"""Maximum height of a tag inside the lower edge of its own face, relative to the face's height: for longer variants,
and for the shortest one."""


class Size(NamedTuple):
    """Size of a tag, in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Place:
    """Position of a tag.

    Attributes:
        variant: Index of the chosen size.
        left, top: Upper left corner, in pixels of the image.
    """

    variant: int
    left: int
    top: int


def place_tags(
    faces: NDArray[np.float64],
    sizes: Sequence[Sequence[Size]],
    *,
    width: int,
    height: int,
    gaps: Sequence[int],
    taken: Sequence[tuple[float, float, float, float]] = (),
) -> list[Place | None]:
    """Place the tags of all faces: above, below, left, right, or inside the lower edge of their own face.

    First every face, from the largest, gets a place for its shortest tag; only then do tags become longer, so that long
    tags take no room from others. Places lie within the image, overlap no other tag and no other face, and overlap
    their own face only inside its lower edge.

    Args:
        faces: Left, top, right and bottom edge in pixels, which may lie outside the image, float64 [F, 4].
        sizes: Possible sizes of each face's tag, from the longest to the shortest.
        width, height: Size of the image.
        gaps: Distance between each face and its tag, in pixels.
        taken: Further rectangles that no tag may cover: left, top, right and bottom.

    Returns:
        One place for each face; ``None`` if there is no room for any of its sizes, or if it lies outside the image.
    """
    count = len(faces)
    obstacles = np.zeros((2 * count + len(taken), 4))  # the faces, their tags, the taken rectangles
    obstacles[:count], obstacles[2 * count :] = faces, np.reshape(taken, (-1, 4))
    areas = (faces[:, 2:] - faces[:, :2]).prod(axis=1)
    order = np.argsort(-areas, kind="stable").tolist()
    places: list[Place | None] = [None] * count

    def take(index: int, variant: int) -> bool:
        last = variant == len(sizes[index]) - 1
        found = list(_propose(faces[index], sizes[index][variant], width, height, gaps[index], last=last))
        if not found:
            return False
        candidates = np.array([candidate[:4] for candidate in found])
        low, high = candidates[:, :2].min(axis=0), candidates[:, 2:].max(axis=0)
        near = np.flatnonzero(((obstacles[:, :2] < high) & (obstacles[:, 2:] > low)).all(axis=1))
        near = near[near != count + index]  # the face's current tag is no obstacle
        others = obstacles[near]
        hits = (candidates[:, None, :2] < others[:, 2:]).all(axis=2)  # [candidates, obstacles]
        hits &= (candidates[:, None, 2:] > others[:, :2]).all(axis=2)
        own = near == index
        hits[np.ix_([entry.within for entry in found], own)] = False
        free = np.flatnonzero(~hits.any(axis=1))
        if not len(free):
            return False
        best = found[free[0]]
        places[index] = Place(variant, best.left, best.top)
        obstacles[count + index] = candidates[free[0]]
        return True

    for index in order:
        take(index, len(sizes[index]) - 1)
    for index in order:
        any(take(index, variant) for variant in range(len(sizes[index]) - 1))
    return places


def place_panel(
    size: Size, obstacles: NDArray[np.float64], *, width: int, height: int, margin: int, steps: int = 9
) -> tuple[int, int] | None:
    """Find a place at an edge of the image where a panel covers nothing; return its left and top, or ``None``.

    Args:
        size: Size of the panel.
        obstacles: Left, top, right and bottom edge of what it must not cover, in pixels, float64 [N, 4].
        width, height: Size of the image.
        margin: Distance from the edge, in pixels.
        steps: Number of positions tried along each edge.
    """
    right, bottom = width - margin - size.width, height - margin - size.height
    if right < margin or bottom < margin:
        return None
    across = [round(value) for value in np.linspace(margin, right, steps)]
    down = [round(value) for value in np.linspace(margin, bottom, steps)]
    tried = [(left, top) for top in (bottom, margin) for left in across]
    tried += [(left, top) for left in (margin, right) for top in down]
    for left, top in tried:
        hits = (obstacles[:, :2] < (left + size.width, top + size.height)) & (obstacles[:, 2:] > (left, top))
        if not hits.all(axis=1).any():
            return left, top
    return None


class _Candidate(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int
    within: bool


def _propose(
    face: NDArray[np.float64], size: Size, width: int, height: int, gap: int, *, last: bool
) -> Iterator[_Candidate]:
    """Yield possible places of one face's tag within the image, the best first."""
    left, top, right, bottom = np.clip(face, 0, (width, height, width, height)).tolist()
    most_left, most_top = width - size.width, height - size.height
    if right <= left or bottom <= top or most_left < 0 or most_top < 0:
        return

    def propose(column: float, row: float, *, within: bool = False) -> _Candidate:
        x, y = min(max(round(column), 0), most_left), min(max(round(row), 0), most_top)
        return _Candidate(x, y, x + size.width, y + size.height, within)

    across = ((left + right - size.width) / 2, left, right - size.width)
    down = (top, (top + bottom - size.height) / 2, bottom - size.height)
    for row in (math.floor(top - gap - size.height), math.ceil(bottom + gap)):
        if 0 <= row <= most_top:
            yield from (propose(column, row) for column in across)
    for column in (math.floor(left - gap - size.width), math.ceil(right + gap)):
        if 0 <= column <= most_left:
            yield from (propose(column, row) for row in down)
    row = math.floor(bottom - gap - size.height)
    most = (LAST_INSIDE if last else INSIDE) * (bottom - top)
    if size.width <= right - left and size.height <= most and row >= top:
        yield from (propose(column, row, within=True) for column in across)
