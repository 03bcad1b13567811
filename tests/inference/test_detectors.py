from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmaen.errors import ConfigError, DetectorError
from cmaen.inference.detectors import DetectorOptions, build_detector
from cmaen.inference.detectors.base import OWN, Found, ShrinkingDetector, shrunk
from cmaen.types import Image

CENTERFACE = os.environ.get("CENTERFACE_ONNX")  # no package that is installed carries it
AVAILABLE = ["yunet", *([f"centerface:{CENTERFACE}"] if CENTERFACE else [])]
every_detector = pytest.mark.parametrize("name", AVAILABLE)


class Given(ShrinkingDetector):
    """Finds what it is given, and notes the shapes that it searched."""

    def __init__(self, found: Found | Exception, options: DetectorOptions = OWN) -> None:
        super().__init__(options, max_side=100, min_score=0.5)
        self.found = found
        self.searched: list[tuple[int, ...]] = []

    def search(self, image: Image) -> Found:
        self.searched.append(image.shape)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def given(*boxes: tuple[float, float, float, float], landmarks: float | None = None) -> Found:
    marks = None if landmarks is None else np.full((len(boxes), 5, 2), landmarks)
    return Found(np.array(boxes, float).reshape(-1, 4), np.full(len(boxes), 0.9), marks)


@every_detector
def test_the_astronauts_face_is_found_alone(name: str, astronaut: Image) -> None:
    (face,) = build_detector(name)(astronaut)
    middle = np.array([face.x + face.width / 2, face.y + face.height / 2])
    assert np.abs(middle - [225, 118]).max() < 15
    assert 80 < max(face.width, face.height) < 150
    if face.landmarks is not None:
        left, right, nose, mouth_left, mouth_right = face.landmarks
        assert left[0] < nose[0] < right[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


@every_detector
def test_grey_mirrored_and_cut_out_pictures_are_searched_too(name: str, astronaut: Image) -> None:
    detector = build_detector(name)
    grey = np.repeat(astronaut.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    for picture in (grey, astronaut[:, ::-1], astronaut[:300, 60:400]):
        assert len(detector(picture)) == 1


@every_detector
def test_boxes_are_in_the_pictures_own_pixels(name: str, astronaut: Image) -> None:
    """Also where the detector had to shrink the picture."""
    large = np.repeat(np.repeat(astronaut, 4, axis=0), 4, axis=1)
    small_face, large_face = (build_detector(name)(picture)[0] for picture in (astronaut, large))
    assert large_face.x / 4 == pytest.approx(small_face.x, abs=12)
    assert large_face.width / 4 == pytest.approx(small_face.width, abs=15)
    if small_face.landmarks is not None and large_face.landmarks is not None:
        assert np.array(large_face.landmarks) / 4 == pytest.approx(np.array(small_face.landmarks), abs=8)


@every_detector
def test_several_faces_come_largest_first_and_small_ones_can_be_left_out(name: str, astronaut: Image) -> None:
    image = astronaut[20:220, 120:340]
    half = image[::2, ::2]
    canvas = np.full((300, 420, 3), 128, np.uint8)
    canvas[50 : 50 + half.shape[0], 10 : 10 + half.shape[1]] = half
    canvas[50 : 50 + image.shape[0], 190 : 190 + image.shape[1]] = image
    assert [face.x > 190 for face in build_detector(name)(canvas)] == [True, False]
    assert [face.x > 190 for face in build_detector(name, options=DetectorOptions(min_face=70))(canvas)] == [True]


@every_detector
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 5000), (5000, 1), (200, 200)])
def test_no_face_is_an_empty_list(name: str, shape: tuple[int, int]) -> None:
    assert build_detector(name)(np.full((*shape, 3), 77, np.uint8)) == []


@every_detector
def test_many_threads_share_a_detector(name: str, astronaut: Image) -> None:
    detector = build_detector(name)
    pictures = [np.ascontiguousarray(astronaut[:side, : side - 40]) for side in (330, 380, 420, 512)] * 6
    alone = [detector(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector, pictures)) == alone
    assert all(len(faces) == 1 for faces in alone)


@every_detector
def test_a_picture_that_is_none_costs_only_itself(name: str, astronaut: Image) -> None:
    detector = build_detector(name)
    with pytest.raises(DetectorError, match=r"fails on an image of shape \(9, 9, 2\)"):
        detector(np.zeros((9, 9, 2), np.uint8))
    assert len(detector(astronaut)) == 1


def test_what_opencv_raises_is_a_detectors_error() -> None:
    with pytest.raises(DetectorError, match="Given fails on an image of shape") as caught:
        Given(cv2.error("out of memory"))(np.zeros((9, 9, 3), np.uint8))
    assert isinstance(caught.value.__cause__, cv2.error)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_faces_that_are_no_numbers_or_have_no_size_are_dropped(bad: float) -> None:
    picture = np.zeros((90, 90, 3), np.uint8)
    boxes = [(10.0, 10.0, 20.0, 20.0), (10.0, 10.0, bad, 20.0), (bad, 10.0, 20.0, 20.0), (10.0, 10.0, 0.0, 20.0)]
    assert [face.x for face in Given(given(*boxes))(picture)] == [10]
    assert Given(given(boxes[0], landmarks=bad))(picture) == []
    assert Given(given(boxes[0])._replace(scores=np.array([bad])))(picture) == []
    assert Given(given())(picture) == []


def test_large_pictures_are_shrunk_and_faces_come_back_at_their_size() -> None:
    detector = Given(given((1, 2, 10, 20), (5, 0, 30, 40), landmarks=3.0))
    large, small = detector(np.zeros((1000, 500, 3), np.uint8))
    assert detector.searched == [(100, 50, 3)]
    assert (small.x, small.y, small.width, small.height) == (10, 20, 100, 200)
    assert small.landmarks == ((30.0, 30.0),) * 5
    assert large.area == 300 * 400
    wide = Given(given((1, 0, 10, 1)), DetectorOptions(max_side=400))
    assert wide(np.zeros((2, 4000, 3), np.uint8))[0].height == 2
    assert wide.searched == [(1, 400, 3)]
    assert Given(given((0, 0, 5, 5)))(np.zeros((60, 70, 3), np.uint8))[0].width == 5


@pytest.mark.parametrize("quickly", [False, True])
@pytest.mark.parametrize("shape", [(1500, 1001), (640, 700), (479, 640), (9, 5000), (1, 5000)])
def test_a_picture_is_shrunk_as_a_whole(shape: tuple[int, int], quickly: bool) -> None:
    """What is bright stays where it was, to within a pixel, also where it is halved on the way."""
    picture = np.zeros((*shape, 3), np.uint8)
    picture[shape[0] // 4 :, shape[1] // 3 :] = 255
    small = shrunk(picture, 640, quickly=quickly)
    assert max(small.shape[:2]) == min(640, max(shape))
    assert small.dtype == np.uint8
    scale = np.array(small.shape[:2]) / shape
    covered = (small[..., 0] / 255).sum(axis=(0, 1)) / scale.prod()
    assert covered == pytest.approx((picture[..., 0] > 0).sum(), rel=0.05)
    rows, columns = np.nonzero(small[..., 0] > 127)
    assert [rows.min(), columns.min()] == pytest.approx([shape[0] // 4 * scale[0], shape[1] // 3 * scale[1]], abs=1)


def test_faces_below_a_size_are_dropped_in_the_pictures_own_pixels() -> None:
    boxes = given((0, 0, 10, 20), (0, 0, 12, 14))
    picture = np.zeros((300, 300, 3), np.uint8)
    assert len(Given(boxes, DetectorOptions(min_face=30))(picture)) == 2
    assert [face.width for face in Given(boxes, DetectorOptions(min_face=31))(picture)] == [36]


@every_detector
def test_a_detector_can_be_sent_to_another_process(name: str, astronaut: Image) -> None:
    detector = build_detector(name, options=DetectorOptions(max_side=333, min_face=9), threads=1)
    other = pickle.loads(pickle.dumps(detector))
    assert (other.max_side, other.min_face) == (333, 9)
    assert other(astronaut) == detector(astronaut)


def test_a_score_that_nothing_reaches(astronaut: Image) -> None:
    assert build_detector(options=DetectorOptions(min_score=1.0))(astronaut) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_side": 31}, "max_side must be at least 32"),
        ({"max_side": 0}, "max_side"),
        ({"min_score": 1.1}, "min_score must lie between 0 and 1"),
        ({"min_score": float("nan")}, "min_score"),
        ({"min_face": -1.0}, "min_face must be 0 pixels or more"),
        ({"min_face": float("nan")}, "min_face"),
        ({"min_face": float("inf")}, "min_face"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DetectorOptions(**options)  # type: ignore[arg-type]


def test_detectors_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"choose from \['centerface', 'yunet'\]"):
        build_detector("eyes")
    with pytest.raises(DetectorError, match="needs a model file; name it as in centerface:"):
        build_detector("centerface")
    wrong = tmp_path / "wrong.onnx"
    for name in ("yunet", "centerface"):
        with pytest.raises(DetectorError, match="cannot be read"):
            build_detector(f"{name}:{wrong}")
    wrong.write_bytes(b"not a model")
    for name in ("yunet", "centerface"):
        with pytest.raises(DetectorError, match="cannot be read"):
            build_detector(f"{name}:{wrong}")
    with pytest.raises(DetectorError, match="cannot be read"):
        build_detector(f"yunet:{tmp_path}")
