"""Pictures that are looked at again: turned, or in tiles."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmaen import EmotionPredictor
from cmaen.images.reader import read_image
from cmaen.inference.detectors import DetectorOptions, build_detector
from cmaen.inference.detectors.again import cut_tiles, merge, place, turn_back
from cmaen.inference.detectors.base import OWN, Found, ShrinkingDetector
from cmaen.types import FaceBox
from tests.conftest import EXAMPLES

ASTRONAUT = EXAMPLES / "astronaut.png"


@given(st.integers(1, 30_000), st.integers(1, 30_000), st.integers(32, 4000), st.data())
def test_every_face_that_is_not_too_large_is_whole_in_a_tile(
    width: int, height: int, side: int, data: st.DataObject
) -> None:
    tiles = list(cut_tiles(width, height, side))
    assert len(tiles) <= 64
    assert len(set(tiles)) == len(tiles)
    across, down = (data.draw(st.integers(1, max(1, min(side // 5, length)))) for length in (width, height))
    x, y = data.draw(st.integers(0, width - across)), data.draw(st.integers(0, height - down))
    face = FaceBox(x, y, across, down)
    whole = [
        tile
        for tile in tiles
        if tile.left <= x and tile.top <= y and x + across <= tile.right and y + down <= tile.bottom
    ]
    assert whole
    placed = []
    for tile in whole:
        inside = FaceBox(x - tile.left, y - tile.top, across, down)
        placed += place([inside], tile, width, height)
    assert placed
    assert set(placed) == {face}


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_what_is_found_in_a_turned_picture_is_turned_back(quarters: int) -> None:
    rng = np.random.default_rng(0)
    image = np.zeros((60, 90), np.uint8)
    image[20:30, 50:65] = 255
    marks = [(52, 22), (60, 22), (56, 25), (53, 28), (60, 28)]
    for number, (x, y) in enumerate(marks):
        image[y, x] = number + 1
    turned = np.rot90(image, quarters)
    rows, columns = np.nonzero(turned)
    seen = [tuple(np.argwhere(turned == number + 1)[0][::-1] + 0.5) for number in range(5)]
    box = FaceBox(
        columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1, rng.random(), tuple(map(tuple, seen))
    )
    back = turn_back(box, quarters, 90, 60)
    assert (back.x, back.y, back.width, back.height, back.score) == (50, 20, 15, 10, box.score)
    assert back.landmarks == tuple((x + 0.5, y + 0.5) for x, y in marks)


def test_of_the_same_faces_the_surer_one_stays() -> None:
    small, same, other = FaceBox(0, 0, 10, 10, 0.8), FaceBox(1, 1, 12, 12, 0.9), FaceBox(40, 0, 10, 10, 0.7)
    assert merge([small, other], [same]) == [other, same]
    assert merge([same], [small, other]) == [same, other]
    assert merge([small], [same], better_by=0.2) == [small]
    assert merge([], [small, same]) == [same]


def test_thousands_of_faces_are_merged_in_a_moment() -> None:
    faces = [FaceBox(20.0 * (number % 60), 20.0 * (number // 60), 15, 15, 0.9) for number in range(3600)]
    started = time.thread_time()
    assert merge(faces, faces) == faces
    assert time.thread_time() - started < 3


PLACES = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 12), st.integers(1, 12))
FACES = st.lists(st.builds(lambda place, score: FaceBox(*place, score), PLACES, st.sampled_from([0.7, 0.8, 0.9])))


@given(FACES, FACES, st.sampled_from([0.0, 0.15]))
def test_any_faces_are_merged(faces: list[FaceBox], more: list[FaceBox], better_by: float) -> None:
    def are_same(one: FaceBox, other: FaceBox) -> bool:
        across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        return across > 0 and down > 0 and across * down > 0.6 * min(one.area, other.area)

    expected = list(faces)
    for face in sorted(more, key=lambda face: -face.score):
        same = [other for other in expected if are_same(face, other)]
        if all(face.score >= other.score + better_by for other in same):
            expected = [other for other in expected if not are_same(face, other)] + [face]
    assert merge(faces, more, better_by=better_by) == expected


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_portrait_is_answered_as_the_upright_one(quarters: int) -> None:
    predictor = EmotionPredictor(threads=1)
    image = read_image(ASTRONAUT)
    upright = predictor.predict_single(image)
    turned = predictor.predict_single(np.ascontiguousarray(np.rot90(image, quarters)))
    assert turned["predicted_emotion"] == "happy"
    assert turned["confidence"] == pytest.approx(upright["confidence"], abs=0.03)
    (before,), (after,) = upright["faces"], turned["faces"]
    x, y, width, height = before["box"]
    middle = turn_back(FaceBox(x, y, width, height), 4 - quarters, 512, 512)  # which is square
    assert after["box"] == pytest.approx([middle.x, middle.y, middle.width, middle.height], abs=12)


class Counting(ShrinkingDetector):
    """Finds one face of a score of its own, and counts how often it searches."""

    def __init__(self, score: float) -> None:
        super().__init__(DetectorOptions(), max_side=64, min_score=0.1, sure=0.9)
        self.score, self.searches = score, 0

    def search(self, image: np.ndarray) -> Found:
        self.searches += 1
        count = int(self.score > 0)
        return Found(np.full((count, 4), 8.0), np.full(count, self.score), np.ones((count, 5, 2)))


@pytest.mark.parametrize(
    ("score", "width", "searches"),
    [
        (0.95, 64, 1),  # sure
        (0.5, 64, 4),  # turned, too
        (0.0, 64, 4),
        (0.95, 600, 1),
        (0.95, 700, 5),  # far larger than what is searched
        (0.0, 300, 6),  # nothing, in a large picture
        (0.0, 250, 4),
    ],
)
def test_only_where_it_helps(score: float, width: int, searches: int) -> None:
    detector = Counting(score)
    detector(np.zeros((48, width, 3), np.uint8))
    assert detector.searches == searches


def test_small_faces_of_a_panorama_are_found_in_tiles_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    face = cv2.resize(read_image(ASTRONAUT), (300, 300), interpolation=cv2.INTER_AREA)
    panorama = np.full((700, 3400, 3), 128, np.uint8)
    places = [(20, 30), (760, 390), (1500, 80), (2277, 400), (3090, 300)]
    for x, y in places:
        panorama[y : y + 300, x : x + 300] = face
    detector = build_detector(options=DetectorOptions(max_side=320))
    with caplog.at_level(logging.WARNING):
        found = detector(panorama)
    assert len(found) == len(places)
    middles = sorted((box.x + box.width / 2, box.y + box.height / 2) for box in found)
    for (x, y), (left, top) in zip(middles, places, strict=True):
        assert (x, y) == pytest.approx((left + 130, top + 70), abs=20)
    assert "in tiles" in caplog.text
    caplog.clear()
    assert detector(np.zeros((700, 3400, 3), np.uint8)) == []
    assert caplog.text == ""


class Looking(ShrinkingDetector):
    """Finds one face with each look, and notes the longer sides that it searched."""

    def __init__(self, options: DetectorOptions = OWN, score: float = 0.9) -> None:
        super().__init__(options, max_side=64, min_score=0.5, closer=128)
        self.score, self.sides = score, list[int]()

    def search(self, image: np.ndarray) -> Found:
        self.sides.append(max(image.shape[:2]))
        first = len(self.sides) == 1
        box = [0, 0, 32, 32] if first else [image.shape[1] - 8, 0, 8, 8]
        return Found(np.array([box], float), np.array([0.9 if first else self.score]))


@pytest.mark.parametrize(
    ("width", "sides"), [(64, [64]), (95, [64]), (96, [64, 96]), (128, [64, 128]), (200, [64, 128]), (640, [64, 128])]
)
def test_a_still_picture_that_is_larger_by_half_is_looked_at_more_closely(width: int, sides: list[int]) -> None:
    picture = np.zeros((60, width, 3), np.uint8)
    detector = Looking()
    faces = detector(picture)
    assert detector.sides == sides
    assert len(faces) == len(sides)
    if len(sides) == 2:
        assert faces[-1].x == pytest.approx(width - 8 * width / sides[1])
    glancing = Looking()
    assert len(glancing.glance(picture)) == 1
    assert glancing.sides == [64]
    bound = Looking(DetectorOptions(max_side=80))
    bound(picture)
    assert bound.sides == [min(width, 80)]


class Blank(Looking):
    """Finds nothing."""

    def search(self, image: np.ndarray) -> Found:
        self.sides.append(max(image.shape[:2]))
        return Found(np.empty((0, 4)), np.empty(0))


@pytest.mark.parametrize(("width", "tiles"), [(300, 0), (512, 0), (513, 3)])
def test_tiles_that_are_no_closer_than_the_closer_look_are_not_searched(width: int, tiles: int) -> None:
    detector = Blank()
    assert detector(np.zeros((60, width, 3), np.uint8)) == []
    assert detector.sides == [64, 128, *[64] * tiles]


@pytest.mark.parametrize(("score", "faces"), [(0.54, 1), (0.56, 2)])
def test_the_closer_look_must_be_a_little_surer(score: float, faces: int) -> None:
    assert len(Looking(score=score)(np.zeros((60, 120, 3), np.uint8))) == faces


def test_what_the_first_look_finds_stays_as_it_is() -> None:
    picture = cv2.resize(read_image(ASTRONAUT), (1500, 1300))
    detector = build_detector(threads=1)
    assert detector(picture) == detector.glance(picture)  # type: ignore[attr-defined]


def test_small_faces_and_close_ups_of_a_photograph_are_found() -> None:
    astronaut = read_image(ASTRONAUT)
    photo = np.full((960, 1280, 3), 128, np.uint8)
    photo[:700, :700] = cv2.resize(astronaut[20:220, 120:320], (700, 700), interpolation=cv2.INTER_CUBIC)
    photo[800:844, 1100:1144] = cv2.resize(astronaut[20:220, 120:320], (44, 44), interpolation=cv2.INTER_AREA)
    detector = build_detector(threads=1)
    close, small = detector(photo)
    assert close.width > 300
    assert (small.x + small.width / 2, small.y + small.height / 2) == pytest.approx((1122, 822), abs=6)
    assert [face.width > 300 for face in detector.glance(photo)] == [True]  # type: ignore[attr-defined]


def test_the_smallest_face_counts_after_all_looks(tmp_path: Path) -> None:
    detector = build_detector(options=DetectorOptions(min_face=400))
    assert detector(np.ascontiguousarray(np.rot90(read_image(ASTRONAUT)))) == []
