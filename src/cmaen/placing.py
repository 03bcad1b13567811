"""Where the tags of faces go: beside their faces, never onto other faces or tags; pure functions of rectangles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

INSIDE, LAST_INSIDE = 0.3, 0.6
"""A tag may lie on its own face, at the lower edge, where it is at most so much of the face's height; the shortest tag
of a face at most the latter."""


class Size(NamedTuple):
    """Of a tag, in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tag goes.

    Attributes:
        variant: Which of the sizes that were offered it has.
        left, top: Its corner, in pixels of the picture.
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
    """Places for the tags of all faces: above, below, left, right, or inside the lower edge of its own face.

    First every face, from the largest, has a place for its shortest tag; only then do tags become longer, so that a
    long one takes the room of nobody. Places lie within the picture, overlap no other tag and no other face, and their
    own face only inside its lower edge.

    Args:
        faces: Left, top, right and bottom edge in pixels, which may lie outside the picture, float64 [F, 4].
        sizes: What may be drawn for each face, from the longest to the shortest.
        width, height: Of the picture.
        gaps: Pixels between each face and its tag.
        taken: Further rectangles that no tag may cover: left, top, right and bottom.

    Returns:
        One for each face; ``None`` where there is no room for any of its sizes, and where it lies outside the picture.
    """
    count = len(faces)
    obstacles = np.zeros((2 * count + len(taken), 4))  # the faces, their tags, what is taken
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
        near = near[near != count + index]  # its own tag makes room
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
    """Left and top of a panel at an edge of the picture that covers nothing; ``None`` where there is no such place.

    Args:
        size: Of the panel.
        obstacles: Left, top, right and bottom edge of what it may not cover, in pixels, float64 [N, 4].
        width, height: Of the picture.
        margin: To the edge, in pixels.
        steps: Places that are tried along each edge.
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
    """The places of one face's tag, the best first; each lies within the picture."""
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
