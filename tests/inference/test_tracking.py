from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest

from cmaen.checkpoints import Checkpoint
from cmaen.images.reader import read_image
from cmaen.inference.alignment import crop_face
from cmaen.inference.detectors import build_detector
from cmaen.inference.likeness import Likeness
from cmaen.inference.tracking import FaceTracker, Track, is_due, overlap
from cmaen.types import FaceBox
from tests.conftest import EXAMPLES

FACE = FaceBox(180, 58, 88, 120, landmarks=((200, 100), (240, 100), (220, 125), (205, 145), (238, 145)))
OTHER = FaceBox(300, 300, 80, 80)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read_image(EXAMPLES / "astronaut.png")


def nobody(faces: Sequence[FaceBox]) -> list[None]:
    return [None] * len(faces)


def person(name: int) -> Likeness:
    """What somebody is recognised by: people have nothing in common."""
    shape = np.random.default_rng(name).integers(0, 256, (20, 20), dtype=np.uint8)
    return Likeness(shape, np.repeat(np.eye(512, dtype=np.float32)[name][None], 2, axis=0))


def people(*names: int) -> Callable[[Sequence[FaceBox]], list[Likeness]]:
    """Tells who the faces are that are asked about."""
    return lambda faces: [person(name) for _, name in zip(faces, names, strict=True)]


def search(tracker: FaceTracker, image: np.ndarray, faces: Sequence[FaceBox], time: float, who: object) -> list[int]:
    tracker.follow(image, time)
    return [track.number for track in tracker.find(faces, time, who)]


def test_overlap_by_hand() -> None:
    assert overlap(FaceBox(0, 0, 10, 10), FaceBox(0, 0, 10, 10)) == 1
    assert overlap(FaceBox(0, 0, 10, 10), FaceBox(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap(FaceBox(0, 0, 10, 10), FaceBox(10, 0, 10, 10)) == 0


def test_a_face_keeps_its_number_and_another_gets_its_own(photo: np.ndarray) -> None:
    tracker = FaceTracker(memory=1.0)
    assert search(tracker, photo, [FACE], 0.0, people(0)) == [1]
    moved = FaceBox(190, 60, 88, 120)
    assert search(tracker, photo, [OTHER, moved], 0.1, people(1)) == [2, 1]
    assert search(tracker, photo, [OTHER], 0.2, people()) == [2]
    assert [track.number for track in tracker.follow(photo, 0.3)] == [2]  # who was not found is not shown
    assert search(tracker, photo, [moved], 0.9, people(0)) == [1]  # but remembered for a second
    assert search(tracker, photo, [OTHER], 9.0, people(1)) == [3]  # and then no longer


def test_a_track_says_whether_it_has_just_begun_or_was_taken_up_again(photo: np.ndarray) -> None:
    tracker = FaceTracker(memory=1.0)

    def resumed(faces: Sequence[FaceBox], time: float, who: object) -> list[bool]:
        tracker.follow(photo, time)
        return [track.resumed for track in tracker.find(faces, time, who)]

    assert resumed([FACE], 0.0, people(0)) == [True]
    assert resumed([FACE], 0.1, people()) == [False]
    assert resumed([], 0.2, people()) == []
    assert resumed([FACE], 0.3, people(0)) == [True]
    assert resumed([FACE], 0.4, people()) == [False]


def test_who_takes_the_place_of_one_who_was_not_found_is_somebody_else(photo: np.ndarray) -> None:
    for after, expected in ((people(1), [2]), (people(0), [1]), (nobody, [2])):
        tracker = FaceTracker()
        search(tracker, photo, [FACE], 0.0, people(0))
        search(tracker, photo, [], 0.2, nobody)
        assert search(tracker, photo, [FACE], 0.4, after) == expected


def test_a_face_that_is_followed_keeps_its_number_over_a_long_time_if_it_looks_like_itself(photo: np.ndarray) -> None:
    for after, expected in ((people(0), [1]), (people(1), [2]), (nobody, [2])):
        tracker = FaceTracker()
        search(tracker, photo, [FACE], 0.0, people(0))
        assert search(tracker, photo, [FACE], 5.0, after) == expected  # of a film of one frame in five seconds


def test_the_flow_follows_a_face_that_moves(photo: np.ndarray) -> None:
    tracker = FaceTracker()
    search(tracker, photo, [FACE], 0.0, nobody)
    for step in (1, 2, 3):
        image = np.roll(photo, (3 * step, 5 * step), axis=(0, 1))
        (track,) = tracker.follow(image, step / 25)
    assert track.face.x == pytest.approx(FACE.x + 15, abs=1.5)
    assert track.face.y == pytest.approx(FACE.y + 9, abs=1.5)
    assert track.face.width == pytest.approx(FACE.width, rel=0.03)
    assert track.face.landmarks is not None
    assert track.face.landmarks[0] == pytest.approx((215, 109), abs=1.5)


def test_a_face_that_vanishes_is_lost(photo: np.ndarray) -> None:
    tracker = FaceTracker()
    search(tracker, photo, [FACE], 0.0, nobody)
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, dtype=np.uint8)
    assert tracker.follow(noise, 0.04) == []
    assert tracker.follow(np.zeros((10, 10, 3), np.uint8), 0.08) == []  # even if the picture changes its size


@pytest.mark.parametrize(
    ("other", "gap"), [("mirrored", 0.04), ("mirrored", 1.0), ("negative", 0.04), ("noise", 0.04), ("size", 0.04)]
)
def test_after_a_cut_only_who_is_alike_takes_up_the_identity(other: str, gap: float, photo: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, dtype=np.uint8)
    change = {"mirrored": photo[:, ::-1], "negative": 255 - photo, "noise": noise, "size": photo[:400]}[other]
    change = np.ascontiguousarray(change)
    for after, expected in ((people(1), [2]), (people(0), [1]), (nobody, [2])):
        tracker = FaceTracker()
        assert search(tracker, photo, [FACE], 0.0, people(0)) == [1]
        tracker.find([FACE], 0.0, people(0))[0].update(np.eye(7)[3], 0.0, 0.4)
        assert tracker.follow(change, gap) == []
        assert tracker.is_due(gap)
        (track,) = tracker.find([FACE], gap, after)
        assert [track.number] == expected
        assert track.probabilities is None  # nothing is smoothed over a cut


def test_another_face_in_the_same_place_of_the_same_scene_gets_a_number_of_its_own(photo: np.ndarray) -> None:
    """The scene is almost the same, so that this is no cut: only the face is another."""
    small = cv2.copyMakeBorder(photo, 300, 300, 300, 300, cv2.BORDER_REPLICATE)
    face = FaceBox(480, 358, 88, 120)
    changed = small.copy()
    changed[358:478, 480:568] = small[358:478, 480:568][::-1]
    tracker = FaceTracker()
    assert search(tracker, small, [face], 0.0, people(0)) == [1]
    assert search(tracker, changed, [face], 0.04, people(1)) == [2]


def test_who_was_lost_is_remembered_for_a_while(photo: np.ndarray) -> None:
    black = np.zeros_like(photo)
    for gap, expected in ((0.5, [1]), (60.0, [2])):
        tracker = FaceTracker()
        search(tracker, photo, [FACE], 0.0, people(0))
        assert search(tracker, black, [], 0.1, nobody) == []
        assert search(tracker, photo, [FACE], gap, people(0)) == expected


def test_likenesses_are_asked_for_only_where_they_are_needed(photo: np.ndarray) -> None:
    asked: list[int] = []

    def counting(faces: Sequence[FaceBox]) -> list[None]:
        asked.append(len(faces))
        return nobody(faces)

    tracker = FaceTracker()
    for number in range(50):
        search(tracker, photo, [FACE, OTHER], number / 25, counting)
    assert asked == [2, 2, 2, 2]  # when they came, and again after each half a second


def test_faces_are_searched_by_time_when_none_is_left_and_when_the_picture_has_changed(photo: np.ndarray) -> None:
    tracker = FaceTracker(every=0.2)
    for rate, expected in ((25, 5), (5, 1), (1, 1), (100, 20)):
        due = []
        tracker = FaceTracker(every=0.2)
        for number in range(40):
            tracker.follow(photo, number / rate)
            if tracker.is_due(number / rate):
                due.append(number)
                tracker.find([FACE], number / rate, nobody)
        assert due == list(range(0, 40, expected))
    tracker.follow(photo, 40 / rate)
    assert not tracker.is_due(39.01 / rate)
    changed = photo.copy()
    changed[300:450, 20:150] = 255 - changed[300:450, 20:150]  # somebody else comes
    assert len(tracker.follow(changed, 40 / rate)) == 1
    assert tracker.is_due(39.02 / rate)
    tracker.find([], 39.02 / rate, nobody)
    tracker.follow(changed, 39.03 / rate)
    assert tracker.is_due(39.03 / rate)  # nobody is left
    assert tracker.is_due(1 / rate)  # a clock that has gone back


def test_while_nobody_is_there_it_is_searched_as_seldom_as_while_somebody_is(photo: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    wall = np.full((240, 320, 3), 120, np.uint8)
    fire = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(3)]  # differs in every frame
    for scene, most in (([wall], 10), ([photo], 10)):
        tracker, due = FaceTracker(), 0
        for number in range(60):
            tracker.follow(scene[number % len(scene)], number / 30)
            if tracker.is_due(number / 30):
                due += 1
                tracker.find([], number / 30, nobody)
        assert due == most
    tracker, due = FaceTracker(), 0
    for number in range(60):
        picture = wall.copy()
        picture[:, 40 * (number % 7) :][:, :60] = fire[number % 3][:, :60]
        tracker.follow(picture, number / 30)
        if tracker.is_due(number / 30):
            due += 1
            tracker.find([], number / 30, nobody)
    assert 10 < due <= 21


def test_after_the_last_face_has_gone_every_frame_is_searched_for_a_moment(photo: np.ndarray) -> None:
    tracker = FaceTracker()
    search(tracker, photo, [FACE], 0.0, nobody)
    due = []
    for number in range(1, 26):
        tracker.follow(photo, number / 25)
        if tracker.is_due(number / 25):
            due.append(number)
            tracker.find([], number / 25, nobody)
    assert due[:6] == [5, 6, 7, 8, 9, 14]


def test_somebody_who_appears_slowly_in_the_place_of_another_is_somebody_else(photo: np.ndarray) -> None:
    other = np.ascontiguousarray(255 - photo[::-1])
    for seconds in (0.4, 1.0, 2.0):
        shares = [min(1.0, max(0.0, (number / 25 - 1) / seconds)) for number in range(100)]
        pictures = {share: (photo * (1 - share) + other * share).astype(np.uint8) for share in set(shares)}
        for after, expected in ((1, 2), (0, 1)):
            tracker, numbers = FaceTracker(), []
            for number, share in enumerate(shares):
                time = number / 25
                name = after if share > 0.5 else 0
                tracker.follow(pictures[share], time)
                if tracker.is_due(time):
                    numbers += [track.number for track in tracker.find([FACE], time, people(name))]
            assert numbers[0] == 1
            assert numbers[-1] == expected, seconds


def test_a_face_that_is_alike_is_known_again_where_it_may_have_gone(photo: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, dtype=np.uint8)
    near, far = FaceBox(280, 90, 90, 118), FaceBox(400, 330, 88, 120)
    huge, tiny = FaceBox(60, 10, 300, 330), FaceBox(210, 100, 30, 40)
    for place, expected in ((near, [1]), (far, [2]), (huge, [2]), (tiny, [2])):
        tracker = FaceTracker()
        search(tracker, photo, [FACE], 0.0, people(0))
        assert search(tracker, noise, [place], 1.0, people(0)) == expected


@pytest.mark.parametrize("rate", [1, 2, 5])
def test_somebody_who_moves_keeps_the_number_at_a_few_frames_a_second(rate: float, photo: np.ndarray) -> None:
    """The flow cannot follow such steps; the face is found in another place and at another angle each time."""
    detector, spec = build_detector("yunet", threads=1), Checkpoint.open().card.crop
    tracker, numbers = FaceTracker(), []
    for number in range(12):
        matrix = cv2.getRotationMatrix2D((224, 118), 9 * math.sin(2.1 * number), 1 + 0.12 * math.sin(1.3 * number))
        matrix[:, 2] += 50 * math.sin(1.7 * number), 25 * math.cos(2.3 * number)
        image = cv2.warpAffine(photo, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
        faces = detector(image)[:1]

        def compare(faces: Sequence[FaceBox], image: np.ndarray = image) -> list[Likeness]:
            return [Likeness.of(crop_face(image, face, spec)) for face in faces]

        numbers.append(search(tracker, image, faces, number / rate, compare))
    assert numbers == [[1]] * 12


def test_two_who_change_places_at_a_cut_keep_their_numbers(photo: np.ndarray) -> None:
    tracker = FaceTracker()
    left, right = FaceBox(100, 100, 80, 80), FaceBox(190, 100, 80, 80)
    assert search(tracker, photo, [left, right], 0.0, people(0, 1)) == [1, 2]
    cut = np.ascontiguousarray(255 - photo)
    assert search(tracker, cut, [left, right], 0.04, people(1, 0)) == [2, 1]


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


@pytest.mark.parametrize(("since", "time", "due"), [
    (0.0, 0.1, False), (0.0, 0.2, True), (59.95, 60.0, True), (59.95, 59.99, False), (60.0, 60.1, False),
    (-math.inf, 5.0, True), (119.99, 120.02, True), (5.0, 4.0, True),
])  # fmt: skip
def test_what_is_done_now_and_then_is_done_at_each_full_minute(since: float, time: float, due: bool) -> None:
    assert is_due(since, time, 0.2) == due
