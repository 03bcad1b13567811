"""Tags cover neither faces nor each other, whatever the faces and the picture."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.drawing.placing import INSIDE, LAST_INSIDE, Place, Size, place_panel, place_tags

Box = tuple[float, float, float, float]


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def rectangle(place: Place, sizes: list[Size]) -> Box:
    size = sizes[place.variant]
    return (place.left, place.top, place.left + size.width, place.top + size.height)


def check(faces: list[Box], sizes: list[list[Size]], width: int, height: int, taken: list[Box], gap: int) -> int:
    """That all that is placed lies well; how many are."""
    places = place_tags(
        np.reshape(faces, (-1, 4)).astype(float),
        sizes,
        width=width,
        height=height,
        gaps=[gap] * len(faces),
        taken=taken,
    )
    assert len(places) == len(faces)
    tags = {index: rectangle(place, sizes[index]) for index, place in enumerate(places) if place is not None}
    for left, top, right, bottom in tags.values():
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
    for one, other in combinations(tags.values(), 2):
        assert not overlap(one, other)
    for index, tag in tags.items():
        assert not any(overlap(tag, other) for other in taken)
        for number, face in enumerate(faces):
            if overlap(tag, face):
                assert number == index
                high, low = max(face[1], 0), min(face[3], height)  # what is seen of it
                last = places[index].variant == len(sizes[index]) - 1
                most = (LAST_INSIDE if last else INSIDE) * (low - high)
                assert tag[3] - tag[1] <= most
                assert low - gap - 1 <= tag[3] <= low  # at its lower edge
    return len(tags)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[Box], list[list[Size]], int, int, list[Box], int]:
    width, height = draw(st.sampled_from([(320, 240), (240, 320), (64, 48), (1280, 720), (12_000, 9_000), (1, 400)]))
    count = draw(st.integers(0, 100))
    seed, spread = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.02, 0.1, 0.5, 2.0]))
    rng = np.random.default_rng(seed)
    sides = np.maximum(rng.uniform(0.2, 1, (count, 2)) * spread * min(width, height), 0.3)
    corners = rng.uniform(-0.2, 1.1, (count, 2)) * (width, height)
    faces = [(*map(float, corner), *map(float, corner + side)) for corner, side in zip(corners, sides, strict=True)]
    sizes = []
    for left, _, right, _ in faces:
        high = max(8, int(right - left) // 6)
        sizes.append([Size(high * n, high) for n in (8, 5, 2)])
    taken: list[Box] = [(0.0, height - 20.0, width / 2, float(height))] if draw(st.booleans()) else []
    return faces, sizes, width, height, taken, draw(st.integers(0, 8))


@settings(max_examples=150, deadline=None)
@given(crowds())
def test_no_tag_covers_a_face_or_another_tag_or_leaves_the_picture(
    crowd: tuple[list[Box], list[list[Size]], int, int, list[Box], int],
) -> None:
    check(*crowd)


@pytest.mark.parametrize(("width", "height", "step"), [(320, 240, 60), (1280, 720, 90), (12_000, 9_000, 900)])
def test_faces_with_room_between_them_all_have_the_longest_tag(width: int, height: int, step: int) -> None:
    side = step / 2
    faces = [
        (x, y, x + side, y + side)
        for x in np.arange(step / 2, width - step, step)
        for y in np.arange(step / 2, height - step, step)
    ]
    sizes = [[Size(step // 2, step // 5), Size(step // 6, step // 6)]] * len(faces)
    places = place_tags(np.array(faces), sizes, width=width, height=height, gaps=[2] * len(faces))
    assert {place.variant for place in places if place is not None} == {0}
    assert None not in places


def place_one(face: Box, size: Size, **more: object) -> Box | None:
    (place,) = place_tags(np.array([face], float), [[size]], **{"width": 200, "height": 200, "gaps": [2], **more})
    return None if place is None else rectangle(place, [size])


def test_the_places_are_tried_in_their_order() -> None:
    face, size = (80.0, 80.0, 120.0, 120.0), Size(30, 14)
    above, below = (85, 64, 115, 78), (85, 122, 115, 136)
    assert place_one(face, size) == above
    ceiling, floor = (0.0, 0.0, 200.0, 80.0), (0.0, 120.0, 200.0, 200.0)
    assert place_one(face, size, taken=[ceiling]) == below
    assert place_one(face, size, taken=[ceiling, floor]) == (48, 80, 78, 94)  # left
    left, right = (0.0, 0.0, 80.0, 200.0), (120.0, 0.0, 200.0, 200.0)
    assert place_one(face, size, taken=[ceiling, floor, left]) == (122, 80, 152, 94)
    assert place_one(face, size, taken=[ceiling, floor, left, right]) == (85, 104, 115, 118)  # inside
    assert place_one(face, Size(30, 25), taken=[ceiling, floor, left, right]) is None
    assert place_one((300.0, 20.0, 340.0, 60.0), size) is None  # outside the picture
    assert place_one(face, Size(300, 10)) is None


def test_a_long_tag_takes_nobodys_place() -> None:
    """Two faces side by side: were the first to have its long tag above, the second could have none there."""
    faces = np.array([(40, 60, 100, 120), (104, 60, 160, 120)], float)
    sizes = [[Size(90, 14), Size(14, 14)]] * 2
    first, second = place_tags(faces, sizes, width=200, height=124, gaps=[2, 2])
    assert first is not None
    assert second is not None
    assert place_tags(faces, sizes, width=200, height=300, gaps=[2, 2])[1].variant == 0  # below, where there is room


def test_a_panel_lies_at_an_edge_where_nothing_is() -> None:
    size = Size(60, 20)
    nothing = np.zeros((0, 4))
    assert place_panel(size, nothing, width=200, height=100, margin=4) == (4, 76)
    left, right = np.array([[0, 50, 90, 100]], float), np.array([[0, 50, 200, 100]], float)
    corner = place_panel(size, left, width=200, height=100, margin=4)
    assert corner is not None
    assert corner[0] >= 90
    assert corner[1] == 76
    assert place_panel(size, right, width=200, height=100, margin=4) == (4, 4)
    assert place_panel(size, np.array([[0, 0, 200, 100]], float), width=200, height=100, margin=4) is None
    assert place_panel(size, nothing, width=50, height=100, margin=4) is None


def test_thousands_of_faces_are_placed_in_seconds() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 4000, (3000, 2))
    faces = np.concatenate([corners, corners + 20], axis=1)
    start = time.process_time()
    places = place_tags(faces, [[Size(40, 12), Size(14, 12)]] * 3000, width=4020, height=4020, gaps=[2] * 3000)
    assert time.process_time() - start < 20
    assert sum(place is not None for place in places) > 2900
