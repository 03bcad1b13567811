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


WITHIN = (12, 13, 14)
"""Positions inside the lower edge of a tag's own face, see :attr:`Place.slot`."""
WORDS = 2
"""Number of the shortest sizes of a tag that are no words: a dot and a letter."""


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
        slot: Number of the position beside the face, in the order in which positions are tried.
    """

    variant: int
    left: int
    top: int
    slot: int = 0


class Wish(NamedTuple):
    """The place of a tag in the frame before, which it keeps if it can.

    Attributes:
        slot: Position beside the face, see :attr:`Place.slot`.
        rank: Number of sizes of the tag that were shorter.
        x, y: Centre of the tag, in pixels.
        slack: Distance in pixels by which the face may move before the tag follows.
        grows: Whether the tag may become longer, and leave its own face for a place beside it.
    """

    slot: int
    rank: int
    x: float
    y: float
    slack: int
    grows: bool = False


def place_tags(
    faces: NDArray[np.float64],
    sizes: Sequence[Sequence[Size]],
    *,
    width: int,
    height: int,
    gaps: Sequence[int],
    taken: Sequence[tuple[float, float, float, float]] = (),
    wishes: Sequence[Wish | None] = (),
) -> list[Place | None]:
    """Place the tags of all faces: above, below, left, right, or inside the lower edge of their own face.

    First every face, from the largest, gets a place for its shortest tag; only then do tags become longer, all of them
    step by step, so that long tags take no room from others. Places lie within the image, overlap no other tag and no
    other face, and overlap their own face only inside its lower edge.

    In a video, tags that can stay where they were come before all others. They only become longer where they are,
    unless they do not tell the emotion in words.

    Args:
        faces: Left, top, right and bottom edge in pixels, which may lie outside the image, float64 [F, 4].
        sizes: Possible sizes of each face's tag, from the longest to the shortest.
        width, height: Size of the image.
        gaps: Distance between each face and its tag, in pixels.
        taken: Further rectangles that no tag may cover: left, top, right and bottom.
        wishes: Where each face's tag was in the frame before, or ``None``; empty if nothing is known.

    Returns:
        One place for each face; ``None`` if there is no room for any of its sizes, or if it lies outside the image.
    """
    count = len(faces)
    wished = wishes or [None] * count
    table = _Table(faces, sizes, width, height, gaps, taken)
    order = np.argsort(-(faces[:, 2:] - faces[:, :2]).prod(axis=1), kind="stable").tolist()
    kept: set[int] = set()
    for index in order:
        wish = wished[index]
        if wish is not None and table.keep(index, wish):
            kept.add(index)
    for index in order:
        if index not in kept:
            table.take(index, 0)
    for index in sorted(kept):
        place, wish = table.places[index], wished[index]
        if place is not None and place.slot in WITHIN and wish is not None and wish.grows:
            table.take(index, table.rank_of(index), margin=gaps[index], beside=True)
    for rank in range(1, max(map(len, sizes), default=0)):
        for index in order:
            wish = wished[index]
            if index not in kept:
                table.take(index, rank)
            elif wish is not None and wish.grows and rank > table.rank_of(index):
                there = table.take(index, rank, wish=wish, margin=gaps[index])
                if not there and table.rank_of(index) < WORDS <= rank:
                    table.take(index, rank, margin=gaps[index], beside=True)
    return table.places


class _Table:
    """The tags that have been placed so far, and what they must not cover."""

    def __init__(
        self,
        faces: NDArray[np.float64],
        sizes: Sequence[Sequence[Size]],
        width: int,
        height: int,
        gaps: Sequence[int],
        taken: Sequence[tuple[float, float, float, float]],
    ) -> None:
        count = len(faces)
        self.places: list[Place | None] = [None] * count
        self._faces, self._sizes, self._gaps = faces, sizes, gaps
        self._width, self._height = width, height
        self._obstacles = np.zeros((2 * count + len(taken), 4))  # the faces, their tags, the taken rectangles
        self._obstacles[:count], self._obstacles[2 * count :] = faces, np.reshape(taken, (-1, 4))

    def rank_of(self, index: int) -> int:
        """Return the number of sizes of a placed tag that are shorter."""
        place = self.places[index]
        assert place is not None
        return len(self._sizes[index]) - 1 - place.variant

    def keep(self, index: int, wish: Wish) -> bool:
        """Place a tag where it was, if need be shorter; return whether it does so, and tells no less in words."""
        shortest = WORDS if wish.rank >= WORDS else 0
        return any(self.take(index, rank, wish=wish) for rank in range(wish.rank, shortest - 1, -1))

    def take(self, index: int, rank: int, *, wish: Wish | None = None, margin: int = 0, beside: bool = False) -> bool:
        """Place a face's tag, or place it anew, and return whether there is room.

        Args:
            index: Number of the face.
            rank: Number of sizes that are shorter than the wanted one.
            wish: Only position to try; near the tag's last place if possible.
            margin: Distance to be kept from everything but the own face, in pixels.
            beside: Whether positions inside the own face are left out.
        """
        count, sizes = len(self.places), self._sizes[index]
        variant = len(sizes) - 1 - rank
        if variant < 0:
            return False
        face, size = self._faces[index], sizes[variant]
        found = list(_propose(face, size, self._width, self._height, self._gaps[index], last=rank == 0, margin=margin))
        if wish is not None:
            found = [place for place in found if place.slot == wish.slot]
            found = [*(_hold_back(place, wish, self._width, self._height) for place in found), *found]
        if beside:
            found = [place for place in found if place.slot not in WITHIN]
        if not found:
            return False
        candidates = np.array([candidate[:4] for candidate in found])
        low, high = candidates[:, :2].min(axis=0) - margin, candidates[:, 2:].max(axis=0) + margin
        near = np.flatnonzero(((self._obstacles[:, :2] < high) & (self._obstacles[:, 2:] > low)).all(axis=1))
        near = near[near != count + index]  # the face's current tag is no obstacle
        reach = np.where(near == index, 0, margin)[:, None]  # [obstacles, 1]
        others = self._obstacles[near]
        hits = (candidates[:, None, :2] < others[:, 2:] + reach).all(axis=2)  # [candidates, obstacles]
        hits &= (candidates[:, None, 2:] > others[:, :2] - reach).all(axis=2)
        hits[np.ix_([entry.slot in WITHIN for entry in found], near == index)] = False
        free = np.flatnonzero(~hits.any(axis=1))
        if not len(free):
            return False
        best = found[free[0]]
        self.places[index] = Place(variant, best.left, best.top, best.slot)
        self._obstacles[count + index] = candidates[free[0]]
        return True


def place_panel(
    size: Size,
    obstacles: NDArray[np.float64],
    *,
    width: int,
    height: int,
    margin: int,
    steps: int = 9,
    before: tuple[int, int] | None = None,
) -> tuple[int, int] | None:
    """Find a place at an edge of the image where a panel covers nothing; return its left and top, or ``None``.

    Args:
        size: Size of the panel.
        obstacles: Left, top, right and bottom edge of what it must not cover, in pixels, float64 [N, 4].
        width, height: Size of the image.
        margin: Distance from the edge, in pixels.
        steps: Number of positions tried along each edge.
        before: Left and top in the frame before, which are kept if nothing is covered there.
    """
    right, bottom = width - margin - size.width, height - margin - size.height
    if right < margin or bottom < margin:
        return None
    across = [round(value) for value in np.linspace(margin, right, steps)]
    down = [round(value) for value in np.linspace(margin, bottom, steps)]
    tried = [(left, top) for top in (bottom, margin) for left in across]
    tried += [(left, top) for left in (margin, right) for top in down]
    if before is not None and before[0] <= right and before[1] <= bottom:
        tried.insert(0, before)
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
    slot: int


def _propose(
    face: NDArray[np.float64], size: Size, width: int, height: int, gap: int, *, last: bool, margin: int
) -> Iterator[_Candidate]:
    """Yield possible places of one face's tag within the image, the best first.

    The face may move by ``margin`` pixels without losing a place beside it to the edge of the image.
    """
    left, top, right, bottom = np.clip(face, 0, (width, height, width, height)).tolist()
    most_left, most_top = width - size.width, height - size.height
    if right <= left or bottom <= top or most_left < 0 or most_top < 0:
        return

    def propose(column: float, row: float, slot: int) -> _Candidate:
        x, y = min(max(round(column), 0), most_left), min(max(round(row), 0), most_top)
        return _Candidate(x, y, x + size.width, y + size.height, slot)

    across = ((left + right - size.width) / 2, left, right - size.width)
    down = (top, (top + bottom - size.height) / 2, bottom - size.height)
    for slot, row in ((0, math.floor(top - gap - size.height)), (3, math.ceil(bottom + gap))):
        if margin <= row <= most_top - margin:
            yield from (propose(column, row, slot + place) for place, column in enumerate(across))
    for slot, column in ((6, math.floor(left - gap - size.width)), (9, math.ceil(right + gap))):
        if margin <= column <= most_left - margin:
            yield from (propose(column, row, slot + place) for place, row in enumerate(down))
    row = math.floor(bottom - gap - size.height)
    most = (LAST_INSIDE if last else INSIDE) * (bottom - top)
    if size.width <= right - left and size.height <= most and row >= top:
        yield from (propose(column, row, slot) for slot, column in zip(WITHIN, across, strict=True))


def _hold_back(place: _Candidate, wish: Wish, width: int, height: int) -> _Candidate:
    """Move a place towards the tag's last one, as far as the slack allows and the image reaches."""
    across, down = place.right - place.left, place.bottom - place.top
    left = _bound(round(wish.x - across / 2), place.left - wish.slack, place.left + wish.slack)
    top = _bound(round(wish.y - down / 2), place.top - wish.slack, place.top + wish.slack)
    left, top = _bound(left, 0, width - across), _bound(top, 0, height - down)
    return _Candidate(left, top, left + across, top + down, place.slot)


def _bound(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)
