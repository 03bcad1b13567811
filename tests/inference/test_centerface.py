from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmaen.errors import DetectorError
from cmaen.inference.detectors import build_detector


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
