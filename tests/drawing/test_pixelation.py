"""Faces under blocks: all of a face, few blocks whatever its size, and nothing of it that could be restored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.drawing.pixelation import BLOCKS, pixelate_all, pixelate_faces
from cmaen.types import FaceBox

NOISE = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)


def count_colours(image: np.ndarray) -> int:
    return len(np.unique(image.reshape(-1, 3) @ np.array([1 << 16, 1 << 8, 1])))


@settings(max_examples=60, deadline=None)
@given(st.floats(-200, 400), st.floats(-200, 300), st.floats(0.1, 500), st.floats(0.1, 500))
def test_of_a_box_anywhere_only_a_few_blocks_are_left(x: float, y: float, width: float, height: float) -> None:
    before = NOISE.copy()
    hidden = pixelate_faces(NOISE, [FaceBox(x, y, width, height)])
    assert np.array_equal(NOISE, before)
    left, top, right, bottom = (round(value) for value in (max(0, x), max(0, y), x + width, y + height))
    inside = hidden[top : max(0, bottom), left : max(0, right)]
    assert count_colours(inside) <= (BLOCKS + 1) ** 2
    if inside.shape[0] > 16 < inside.shape[1]:
        assert count_colours(inside) < count_colours(NOISE[top:bottom, left:right]) / 4


@pytest.mark.parametrize("side", [24, 60, 110])
def test_the_hair_line_and_the_chin_are_hidden_and_what_is_far_away_stays(side: int) -> None:
    x, y = 200 - side // 2, 150 - side // 2
    changed = (pixelate_faces(NOISE, [FaceBox(x, y, side, side)]) != NOISE).any(axis=2)
    for row, column in (
        (y - 0.4 * side, 200),  # the hair
        (y + 1.25 * side, 200),  # below the chin
        (150, x - 0.25 * side),  # the ears
        (150, x + 1.25 * side),
    ):
        assert changed[round(row) - 2 : round(row) + 3, round(column) - 2 : round(column) + 3].mean() > 0.7
    rows, columns = np.indices(changed.shape)
    assert not changed[np.hypot(rows - 150, columns - 200) > 1.3 * side].any()


def test_a_large_face_keeps_no_more_than_a_small_one() -> None:
    kept = [
        count_colours(
            pixelate_faces(NOISE, [box])[150 - side // 3 : 150 + side // 3, 200 - side // 3 : 200 + side // 3]
        )
        for side in (40, 80, 160)
        for box in [FaceBox(200 - side / 2, 150 - side / 2, side, side)]
    ]
    assert max(kept) <= BLOCKS**2
    assert max(kept) <= 2 * min(kept)


def test_faces_that_differ_within_blocks_alone_look_the_same_afterwards() -> None:
    """So nothing can restore them: the difference is no longer there."""
    rows, columns = np.indices((300, 400))
    chequers = np.repeat((72 + 128 * ((rows + columns) % 2)).astype(np.uint8)[..., None], 3, axis=2)
    face = FaceBox(150, 100, 100, 100)
    one, other = (pixelate_faces(image, [face])[105:195, 155:245] for image in (chequers, np.roll(chequers, 1, axis=1)))
    assert np.array_equal(one, other)
    shade = np.full_like(chequers, 138)
    assert np.array_equal(pixelate_faces(shade, [face])[105:195, 155:245], one)  # colours are rounded


@pytest.mark.parametrize("box", [(1e9, 0, 5, 5), (-1e9, -1e9, 2e9, 2e9), (-50, 10, 40, 40), (0, 0, 1e-3, 1e-3)])
def test_boxes_outside_or_around_the_picture_are_no_trouble(box: tuple[float, float, float, float]) -> None:
    hidden = pixelate_faces(NOISE, [FaceBox(*box)])
    assert hidden.shape == NOISE.shape
    if box[2] > 1e6:
        assert count_colours(hidden) <= BLOCKS**2


@pytest.mark.parametrize("shape", [(300, 400), (400, 30), (1, 1), (1, 900), (2160, 3840)])
def test_of_a_picture_that_is_hidden_as_a_whole_a_few_blocks_are_left(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    hidden = pixelate_all(image)
    assert hidden.shape == image.shape
    assert hidden.dtype == np.uint8
    assert count_colours(hidden) <= BLOCKS**2
