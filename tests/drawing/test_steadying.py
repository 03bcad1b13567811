"""Tags, bars and the legend of a video stay where they are while faces jitter, and follow faces that move."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.drawing import style
from cmaen.drawing.placing import Place, Size, Wish, place_panel, place_tags
from cmaen.drawing.steadying import FORGOTTEN, PATIENCE, Memory
from cmaen.drawing.style import STYLE, draw_faces
from cmaen.types import EMOTIONS
from tests.drawing.test_placing import crowds, overlap
from tests.drawing.test_style import blank, face

Laid = list[tuple[int, int, Size]]
Draw = Callable[..., Laid]


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Draws a frame, and returns where everything was laid."""
    laid: Laid = []
    monkeypatch.setattr(style, "lay", lambda picture, sprite, left, top: laid.append((left, top, sprite.size)))

    def draw(
        width: int, height: int, faces: list[dict[str, Any]], memory: Memory | None, *, ticker: bool = False
    ) -> Laid:
        laid.clear()
        draw_faces(blank(width, height), faces, ticker=ticker, memory=memory)
        return list(laid)

    return draw


def rows(width: int, height: int, count: int, side: int) -> list[tuple[float, float, float, float]]:
    """Faces in rows, close to each other and to the borders."""
    columns = max(1, min(count, width // (side + 4)))
    step = (width - side) / max(1, columns - 1) if columns > 1 else 0
    return [(step * (n % columns), 0.1 * height + 1.8 * side * (n // columns), side, 1.2 * side) for n in range(count)]


LAYOUTS = [
    (width, height, count, round(share * min(width, height)))
    for width, height in [(320, 240), (640, 480), (1920, 1080), (3840, 2160), (240, 320)]
    for count, share in [(1, 0.85), (3, 0.28), (12, 0.1)]
]


@pytest.mark.parametrize(("width", "height", "count", "side"), LAYOUTS)
def test_in_any_picture_tags_are_legible_lie_apart_within_it_and_stay_where_they_are(
    width: int, height: int, count: int, side: int, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[int] = []
    plate = style.paint_plate
    monkeypatch.setattr(style, "paint_plate", lambda parts, size: (texts.append(size), plate(parts, size))[1])
    rng = np.random.default_rng(count)
    boxes, memory, frames = rows(width, height, count, side), Memory(), []
    for _ in range(30):
        shaken = [tuple(value + rng.uniform(-1, 1) * side / 100 for value in box) for box in boxes]
        faces = [face(EMOTIONS[n % 7], box, 0.8 + 0.1 * rng.random(), identity=n + 1) for n, box in enumerate(shaken)]
        frames.append(draw(width, height, faces, memory))
    for frame in frames:
        edges = [(left, top, left + size.width, top + size.height) for left, top, size in frame]
        assert len(edges) >= count
        assert not any(overlap(one, other) for one, other in combinations(edges, 2))
        assert all(x >= 0 <= y and right <= width and bottom <= height for x, y, right, bottom in edges)
    assert min(texts) >= max(STYLE.least_text, 0.011 * min(width, height))
    settled = frames[PATIENCE + 2 :]
    assert len({len(frame) for frame in settled}) == 1
    for one, other in pairwise(settled):
        for (left, top, size), (then_left, then_top, then) in zip(one, other, strict=True):
            assert abs(left + size.width / 2 - then_left - then.width / 2) <= max(2, side / 50)
            assert abs(top + size.height / 2 - then_top - then.height / 2) <= max(2, side / 50)


def test_without_a_memory_a_tag_jumps_where_there_is_just_no_room(draw: Draw) -> None:
    """So that the tests of the memory can fail: above this face there is room for its tag in every other frame."""
    faces = [[face("happy", (100, top, 120, 120), 0.9)] for top in (34, 26) * 10]
    memory = Memory()
    jumps, stays = (
        {frame[0][1] > 100 for frame in (draw(640, 480, one, kept) for one in faces)} for kept in (None, memory)
    )
    assert jumps == {False, True}
    late = {frame[0][1] > 100 for frame in (draw(640, 480, one, memory) for one in faces)}
    assert len(stays) == 2  # it has to leave once
    assert late == {True}


def test_a_tag_follows_a_face_that_moves_without_steps(draw: Draw) -> None:
    memory = Memory()
    lefts = [draw(640, 480, [face("happy", (50 + n, 200, 90, 100), 0.9)], memory)[0][0] for n in range(60)]
    steps = np.diff(lefts)
    assert steps.min() >= 0
    assert steps.max() <= 2
    assert 50 < lefts[-1] - lefts[0] <= 59


def test_text_and_outline_keep_their_size_while_a_face_grows_a_little(draw: Draw) -> None:
    memory = Memory()
    heights = [
        draw(1920, 1080, [face("happy", (300, 300, across, 300), 0.9, identity=1)], memory)[0][2].height
        for across in (300, 311, 296, 309, 300, 327, 302, 400)
    ]
    assert len(set(heights[:-1])) == 1
    assert heights[-1] > heights[0]


def place(faces: list[tuple[float, ...]], wishes: list[Wish | None], **more: Any) -> list[Place | None]:
    sizes = [[Size(80, 14), Size(40, 14), Size(18, 14), Size(12, 12)]] * len(faces)
    return place_tags(
        np.array(faces, float), sizes, **{"width": 400, "height": 300, "gaps": [3] * len(faces), **more}, wishes=wishes
    )


def test_a_tag_keeps_its_position_and_its_length_until_it_may_grow() -> None:
    box = (100.0, 100.0, 160.0, 160.0)
    below = Wish(3, 1, 130, 170, 3)
    (kept,) = place([box], [below])
    assert kept is not None
    assert (kept.slot, kept.variant) == (3, 2)
    (grown,) = place([box], [below._replace(grows=True)])
    assert grown is not None
    assert (grown.slot, grown.variant) == (3, 0)
    (forced,) = place([box], [below], taken=[(0, 160, 400, 300)])
    assert forced is not None
    assert forced.slot == 0
    (shorter,) = place([box], [Wish(3, 3, 130, 170, 3)], taken=[(0, 160, 106, 300), (154, 160, 400, 300)])
    assert shorter is not None
    assert (shorter.slot, shorter.variant) == (3, 1)
    (elsewhere,) = place([box], [Wish(3, 3, 130, 170, 3)], taken=[(0, 160, 120, 300), (145, 160, 400, 300)])
    assert elsewhere is not None
    assert (elsewhere.slot, elsewhere.variant) == (0, 0)  # rather words elsewhere than a letter here


def test_a_tag_leaves_its_own_face_when_there_is_room_beside_it_for_good() -> None:
    box = (100.0, 100.0, 200.0, 200.0)
    inside = Wish(12, 3, 150, 190, 3)
    assert place([box], [inside])[0].slot == 12
    assert place([box], [inside._replace(grows=True)])[0].slot == 0
    scarce = [
        (0, 0, 400, 82),
        (0, 203, 400, 300),
        (0, 0, 99, 300),
        (201, 0, 400, 300),
    ]  # 18 pixels: room, but only just
    assert place([box], [inside._replace(grows=True)], taken=scarce)[0].slot == 12


def test_whoever_was_there_keeps_the_place_from_a_larger_newcomer() -> None:
    small, large = (100.0, 120.0, 140.0, 160.0), (100.0, 20.0, 160.0, 103.0)
    wish = Wish(0, 0, 120, 111, 0)
    alone, _ = place([small, large], [wish, None])
    assert alone is not None
    assert alone.slot == 0


@settings(max_examples=100, deadline=None)
@given(
    crowds(),
    st.lists(
        st.one_of(
            st.none(),
            st.builds(
                Wish,
                st.integers(0, 20),
                st.integers(0, 9),
                st.floats(-1e6, 1e6),
                st.floats(-1e6, 1e6),
                st.integers(0, 50),
                st.booleans(),
            ),
        ),
        min_size=100,
        max_size=100,
    ),
)
def test_whatever_is_remembered_no_tag_covers_another_or_a_face_or_leaves_the_picture(
    crowd: tuple[Any, ...], wishes: list[Wish | None]
) -> None:
    faces, sizes, width, height, taken, gap = crowd
    count = len(faces)
    array = np.reshape(faces, (-1, 4)).astype(float)
    more = {"width": width, "height": height, "gaps": [gap] * count, "taken": taken}
    places = place_tags(array, sizes, **more, wishes=wishes[:count])
    edges = {
        n: (one.left, one.top, one.left + sizes[n][one.variant].width, one.top + sizes[n][one.variant].height)
        for n, one in enumerate(places)
        if one is not None
    }
    for n, (left, top, right, bottom) in edges.items():
        assert left >= 0 <= top
        assert right <= width
        assert bottom <= height
        assert not any(overlap((left, top, right, bottom), box) for box in taken)
        assert not any(overlap((left, top, right, bottom), box) for m, box in enumerate(faces) if m != n)
    assert not any(overlap(one, other) for one, other in combinations(edges.values(), 2))


def test_bars_keep_their_seats_when_others_come_and_go(draw: Draw) -> None:
    memory = Memory()
    people = {n: face("happy", (150 * n, 100, 100, 110), 0.8, identity=n) for n in range(1, 8)}

    def seats(*numbers: int) -> list[int]:
        laid = draw(1280, 720, [people[n] for n in numbers], memory, ticker=True)
        return [left for left, top, _ in laid if top > 600]

    first, second, third = seats(2, 3, 4)
    assert seats(3, 4) == [second, third]
    assert seats(1, 3, 4)[0] > third  # who comes sits down beside the others
    for _ in range(FORGOTTEN + 1):
        seats(3, 4)
    assert seats(5, 3, 4) == [second, third, first]  # a seat that is free again
    assert len(seats(7, 6, 5, 4, 3, 2, 1)) == 4
    assert seats(1) == [first]  # after a cut, nobody whose seat is kept is there


def test_a_panel_at_the_edge_of_a_face_does_not_flicker(draw: Draw) -> None:
    memory = Memory()
    shown = []
    for n in range(20):
        low = face("happy", (20, 500, 180, 162 + 3 * (n % 2)), 0.8, identity=1)
        shown.append(any(top > 655 for _, top, _ in draw(1280, 720, [low], memory, ticker=True)))
    assert len(set(shown[2:])) == 1


def test_the_legend_stays_in_its_corner() -> None:
    size, nothing = Size(60, 20), np.zeros((0, 4))
    room = {"width": 200, "height": 100, "margin": 4}
    assert place_panel(size, nothing, **room, before=(130, 30)) == (130, 30)
    assert place_panel(size, np.array([[120, 20, 190, 60]], float), **room, before=(130, 30)) == (4, 76)
    assert place_panel(Size(90, 20), nothing, **room, before=(130, 30)) == (4, 76)
