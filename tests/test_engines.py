from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from weakref import ref

import numpy as np
import onnxruntime as ort
import pytest

from cmaen.checkpoints import FILES
from cmaen.devices import torch_threads
from cmaen.engines import ENGINES, OUTPUTS, OnnxEngine, build_engine, onnx_session, probabilities, select_output
from cmaen.errors import CheckpointError, ConfigError

PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


def batch(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 64, 64)).astype(np.float32)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(PACKAGES[request.param]) is None:
        pytest.skip(f"needs {PACKAGES[request.param]}")
    return str(request.param)


def test_all_engines_compute_the_same(engine: str, checkpoint: Path) -> None:
    expected = OnnxEngine(checkpoint)(batch())
    network = build_engine(engine, checkpoint, threads=1)
    result = network(batch())
    assert result.dtype == np.float32
    assert result.shape == (5, 7)
    assert np.abs(probabilities(result) - probabilities(expected)).max() < 1e-3
    again = network(batch(2))  # earlier results are not overwritten
    assert np.array_equal(result, network(batch()))
    assert np.allclose(again, result[:2], atol=1e-3)


def test_every_output_is_that_of_pytorch(engine: str, checkpoint: Path) -> None:
    load_checkpoint = pytest.importorskip("cmaen.models.checkpoint").load_checkpoint
    torch = pytest.importorskip("torch")
    network = build_engine(engine, checkpoint)
    logits, features, perceived = (network(batch(), output) for output in OUTPUTS)
    with torch.inference_mode():
        expected = load_checkpoint(checkpoint)[0](torch.from_numpy(batch()))
    assert perceived.shape == (len(batch()), 8)
    assert np.allclose(perceived, expected.perceived_logits.numpy(), atol=2e-2)
    assert np.array_equal(select_output(network, "perceived")(batch()), perceived)
    assert features.dtype == np.float32
    assert np.allclose(features, expected.features.numpy(), atol=2e-2)
    assert np.array_equal(network(batch()), logits)


def test_an_engine_serves_many_threads(engine: str, checkpoint: Path) -> None:
    network = build_engine(engine, checkpoint)
    inputs = [batch(1) * factor for factor in (0.0, 0.5, 1.0, 2.0)] * 4
    alone = [network(one) for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        for expected, result in zip(alone, pool.map(network, inputs), strict=True):
            assert np.allclose(expected, result, atol=1e-5)


def test_missing_and_corrupt_weights_are_named(engine: str, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        build_engine(engine, tmp_path / "nothing")
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint, folder)
    path = folder / FILES[engine][-1]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="corrupt"):
        build_engine(engine, folder)
    path.unlink()
    with pytest.raises(CheckpointError, match="no readable"):
        build_engine(engine, folder)


def test_an_engine_that_is_not_there(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="not an engine; choose from"):
        build_engine("magic", checkpoint)


def test_a_temperature_softens() -> None:
    logits = np.array([[2.0, 0, 0, 0, 0, 0, 0]], np.float32)
    assert probabilities(logits, 2.0).max() < probabilities(logits).max()
    assert probabilities(logits * 1000).max() == 1  # without overflow


def test_a_device_that_an_engine_has_not_is_refused(engine: str, checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="quantum"):
        build_engine(engine, checkpoint, device="quantum")
    assert build_engine(engine, checkpoint, device="cpu")(batch(1)).shape == (1, 7)


@pytest.mark.usefixtures("no_opened_networks")
@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="here it computes on GPUs")
def test_onnx_runtime_without_cuda(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"no CUDAExecutionProvider for cuda:1, only .*CPUExecutionProvider"):
        OnnxEngine(checkpoint, device="cuda:1")
    assert np.array_equal(OnnxEngine(checkpoint, device="auto")(batch()), OnnxEngine(checkpoint)(batch()))
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with (  # built with CUDA but without its libraries: it would silently use the CPU
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(ConfigError, match="are the libraries of cuda installed"),
    ):
        OnnxEngine(checkpoint, device="cuda")
    assert OnnxEngine(checkpoint, device="auto")(batch(1)).shape == (1, 7)  # a listed GPU that does not work


@pytest.mark.usefixtures("no_opened_networks")
def test_a_provider_that_raises_leaves_auto_on_the_cpu(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = ort.InferenceSession

    def broken(model: object, options: object, providers: list[tuple[str, dict[str, str]]]) -> ort.InferenceSession:
        if providers[0][0] == "CUDAExecutionProvider":
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return session(model, options, providers=providers)

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", broken)
    assert OnnxEngine(checkpoint, device="auto")(batch(1)).shape == (1, 7)


def test_openvino_without_its_file_is_told_how_to_make_it(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    folder = tmp_path / "copy"
    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("model.xml"))
    with pytest.raises(CheckpointError, match=r"cmaen export --checkpoint .* --format openvino"):
        build_engine("openvino", folder)


@pytest.mark.usefixtures("no_opened_networks")
def test_no_more_threads_than_cores_that_may_be_used(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    session = ort.InferenceSession

    def build(model: object, options: ort.SessionOptions, providers: object) -> ort.InferenceSession:
        asked.append(options.intra_op_num_threads)
        return session(model, options, providers=providers)

    monkeypatch.setattr(ort, "InferenceSession", build)
    for cores, threads, expected in ((2, None, 2), (None, None, 0), (2, 1, 1)):
        monkeypatch.setattr("cmaen.engines.restricted_cores", lambda cores=cores: cores)
        OnnxEngine(checkpoint, threads=threads)
        assert asked.pop() == expected


@pytest.mark.parametrize("place", ["graph", "attribute", "function of a branch"])
@pytest.mark.parametrize("overlong", [False, True])
def test_a_network_that_keeps_weights_elsewhere_is_refused(place: str, overlong: bool, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    (tmp_path / "secret").write_bytes(bytes(4096))
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value="../secret")
    given, result = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y"))
    if place == "graph":
        graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [given], [result], [tensor])
    else:
        constant = helper.make_node("Constant", [], ["w"], value=tensor)
        nodes = [constant, helper.make_node("Add", ["x", "w"], ["y"])]
        if place == "function of a branch":
            branch = helper.make_graph(
                [constant], "b", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [4])]
            )
            chosen = helper.make_node("If", ["c"], ["w"], then_branch=branch, else_branch=branch)
            nodes = [helper.make_node("Constant", [], ["c"], value_int=1), chosen, nodes[1]]
        graph = helper.make_graph(nodes, "g", [given], [result])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString()
    assert b"\x0a\x08location" in content
    if overlong:  # a length may be written in more bytes than it needs
        content = content.replace(b"\x0a\x08location", b"\x0a\x88\x80\x00location")
    path = folder / "model.onnx"
    path.write_bytes(content)
    for model in (path, content):
        with pytest.raises(CheckpointError, match="stores weights in other files"):
            onnx_session(model)
    assert onnx.__version__


@pytest.mark.usefixtures("no_opened_networks")
def test_whoever_opens_the_same_network_shares_it_as_long_as_it_is_in_use(checkpoint: Path, tmp_path: Path) -> None:
    model = checkpoint / "model.onnx"
    shutil.copy(model, tmp_path)
    session = onnx_session(model, 1)
    assert onnx_session(tmp_path / "model.onnx", 1) is session
    assert onnx_session(model.read_bytes(), 1) is session
    assert onnx_session(model, 2) is not session
    assert onnx_session(model, 1, multiplied_out=True) is not session
    kept = ref(session)
    del session
    assert kept() is None


def test_what_a_network_cannot_compute_is_named(checkpoint: Path) -> None:
    engine = OnnxEngine(checkpoint)
    with pytest.raises(CheckpointError, match=r"cannot process a batch of shape \[2, 1, 8\]"):
        engine(np.zeros((2, 1, 8), np.float32))


def test_pytorch_computes_on_the_threads_that_are_asked_for_and_leaves_the_others_alone(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    before, seen = torch.get_num_threads(), []
    network = build_engine("torch", checkpoint, threads=before + 1)
    assert torch.get_num_threads() == before
    monkeypatch.setattr(network, "_model", _Counting(network._model, lambda: seen.append(torch.get_num_threads())))
    network(batch(1))
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
    monkeypatch.setattr("cmaen.devices.usable_cores", lambda: 1)
    with torch_threads(2), torch_threads():
        assert torch.get_num_threads() == 1
    with pytest.raises(ZeroDivisionError), torch_threads(before + 2):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


class _Counting:
    def __init__(self, model: Callable[..., object], count: Callable[[], None]) -> None:
        self._model, self._count = model, count

    def __call__(self, images: object) -> object:
        self._count()
        return self._model(images)
