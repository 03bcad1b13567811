from __future__ import annotations

import math

import numpy as np
import pytest

from cmaen.images import read_image
from cmaen.inference.tracking import FaceTracker, Track, overlap
from cmaen.types import FaceBox
from tests.conftest import EXAMPLES

FACE = FaceBox(180, 58, 88, 120, landmarks=((200, 100), (240, 100), (220, 125), (205, 145), (238, 145)))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read_image(EXAMPLES / "astronaut.png")


def test_overlap_by_hand() -> None:
    assert overlap(FaceBox(0, 0, 10, 10), FaceBox(0, 0, 10, 10)) == 1
    assert overlap(FaceBox(0, 0, 10, 10), FaceBox(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap(FaceBox(0, 0, 10, 10), FaceBox(10, 0, 10, 10)) == 0


def test_a_face_keeps_its_number_and_another_gets_its_own(photo: np.ndarray) -> None:
    tracker = FaceTracker()
    other = FaceBox(300, 300, 80, 80)
    assert [track.number for track in tracker.detected(photo, [FACE], 0.0)] == [1]
    moved = FaceBox(190, 60, 88, 120)
    assert [track.number for track in tracker.detected(photo, [other, moved], 0.1)] == [2, 1]
    assert [track.number for track in tracker.detected(photo, [other], 0.2)] == [2]
    assert [track.number for track in tracker.detected(photo, [moved], 0.9)] == [1]  # remembered for a second
    assert [track.number for track in tracker.detected(photo, [other], 9.0)] == [3]  # and then no longer


def test_a_face_that_is_followed_keeps_its_number_however_long_the_next_search_is_off(photo: np.ndarray) -> None:
    tracker = FaceTracker()
    tracker.detected(photo, [FACE], 0.0)
    assert [track.number for track in tracker.followed(photo)] == [1]
    assert [track.number for track in tracker.detected(photo, [FACE], 5.0)] == [1]  # of a film of one frame a second


def test_the_flow_follows_a_face_that_moves(photo: np.ndarray) -> None:
    tracker = FaceTracker()
    tracker.detected(photo, [FACE], 0.0)
    for step in (1, 2, 3):
        image = np.roll(photo, (3 * step, 5 * step), axis=(0, 1))
        (track,) = tracker.followed(image)
    assert track.face.x == pytest.approx(FACE.x + 15, abs=1.5)
    assert track.face.y == pytest.approx(FACE.y + 9, abs=1.5)
    assert track.face.width == pytest.approx(FACE.width, rel=0.03)
    assert track.face.landmarks is not None
    assert track.face.landmarks[0] == pytest.approx((215, 109), abs=1.5)


def test_a_face_that_vanishes_is_lost(photo: np.ndarray) -> None:
    tracker = FaceTracker()
    tracker.detected(photo, [FACE], 0.0)
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, dtype=np.uint8)
    assert tracker.followed(noise) == []
    assert tracker.followed(np.zeros((10, 10, 3), np.uint8)) == []  # even if the picture changes its size


def test_smoothing_forgets_by_time_and_can_be_switched_off() -> None:
    happy, sad = np.eye(7)[3], np.eye(7)[5]
    track = Track(1, FACE, 0.0)
    track.update(happy, 0.0, smoothing=0.5)
    track.update(sad, 0.5, smoothing=0.5)
    assert track.probabilities is not None
    assert track.probabilities[3] == pytest.approx(math.exp(-1))
    assert track.probabilities.sum() == pytest.approx(1)
    track.update(happy, 0.6, smoothing=0)
    assert track.probabilities[3] == 1


def test_an_answer_that_is_no_number_is_forgotten_with_the_next() -> None:
    happy = np.eye(7)[3]
    track = Track(1, FACE, 0.0)
    for time, answer in enumerate((happy, np.full(7, np.nan), happy)):
        track.update(answer, time / 25, smoothing=0.5)
    assert np.array_equal(track.probabilities, happy)
