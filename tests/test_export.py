from __future__ import annotations

import hashlib
import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from cmaen import export as exporting  # noqa: E402
from cmaen.checkpoints import (  # noqa: E402
    CARD,
    FILES,
    METRICS,
    ONNX,
    SAFETENSORS,
    Card,
    Checkpoint,
    Epoch,
    Figures,
    Measured,
    Metrics,
)
from cmaen.data.faces import load_faces  # noqa: E402
from cmaen.data.splits import FaceSet, Split  # noqa: E402
from cmaen.engines import build_engine, probabilities  # noqa: E402
from cmaen.errors import ConfigError, ExportError, MissingExtraError, SplitError  # noqa: E402
from cmaen.evaluation.run import score  # noqa: E402
from cmaen.export import PRECISIONS, Parity, Tolerance, export  # noqa: E402
from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402
from cmaen.types import FER2013  # noqa: E402
from tests.conftest import TINY  # noqa: E402

KINDS = [(engine, precision) for engine, precisions in PRECISIONS.items() for precision in precisions]


@pytest.fixture
def faces(fer_tree: Path) -> dict[str, FaceSet]:
    return {
        "training": load_faces(fer_tree, Split.TRAIN),
        "validation": load_faces(fer_tree, Split.VALIDATION),
    }


@pytest.fixture(scope="module", autouse=True)
def quick_quantise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Quantise each network only once with the same faces, which takes seconds, for all that is exported of it."""
    folder, quantise = tmp_path_factory.mktemp("quantised"), exporting.quantise

    def quantise_once(path: Path, spec: PreprocessSpec, faces: FaceSet) -> None:
        kept = (
            folder / hashlib.sha256(path.read_bytes() + b"".join(face.tobytes() for face in faces.images)).hexdigest()
        )
        if not kept.exists():
            quantise(path, spec, faces)
            shutil.copy(path, kept)
        shutil.copy(kept, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "quantise", quantise_once)
        yield


@pytest.mark.parametrize(("engine", "precision"), KINDS)
def test_what_is_exported_computes_what_pytorch_does(
    engine: str,
    precision: str,
    checkpoint: Path,
    faces: dict[str, FaceSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino")
    # the answers of an untrained network are near ties: how far they move is checked, not whether they flip
    monkeypatch.setitem(exporting.TOLERANCES, precision, Tolerance(1, 0, 1))
    parity = export(checkpoint, tmp_path / "out", engine=engine, precision=precision, **faces)
    assert parity.faces == 21
    assert parity.difference < {"fp32": 1e-5, "fp16": 1e-3, "bf16": 1e-2, "int8": 0.05}[precision]
    measured = {METRICS} if precision == "int8" else set()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {CARD, *FILES[engine], *measured}
    card = Checkpoint.open(tmp_path / "out").card
    assert card.precision == {engine: precision}
    assert card.cost["flops"] > card.cost["parameters"] > 0
    network, original = build_engine(engine, tmp_path / "out"), build_engine("torch", checkpoint)
    for count in (1, 2, 7, 64):  # OpenVINO once returned nonsense for every batch of more than one
        batch = np.random.default_rng(count).standard_normal((count, 3, 64, 64)).astype(np.float32)
        assert np.abs(probabilities(network(batch)) - probabilities(original(batch))).max() < 0.05


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_residual_wiring_is_exported_for_any_batch(
    precision: str, faces: dict[str, FaceSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_export: None
) -> None:
    torch.manual_seed(0)  # one network for both, which PyTorch's exporter writes only once
    architecture = TINY | {"wiring": "residual", "attention": "both_ways"}
    network = build_network(ModelSpec(**architecture))
    torch.nn.init.normal_(network.ensemble.fixed)  # otherwise only the trunk is active
    save_checkpoint(network, Card("wired", architecture, PreprocessSpec(image_size=64)), tmp_path)
    monkeypatch.setitem(exporting.TOLERANCES, precision, Tolerance(1, 0, 1))
    export(tmp_path, precision=precision, **faces)
    exported, original = build_engine("onnx", tmp_path), build_engine("torch", tmp_path)
    for count in (1, 3, 16):
        batch = np.random.default_rng(count).standard_normal((count, 3, 64, 64)).astype(np.float32)
        difference = np.abs(probabilities(exported(batch)) - probabilities(original(batch))).max()
        assert difference < {"fp32": 1e-4, "int8": 0.1}[precision]


def test_int8_is_small_and_names_no_folder(checkpoint: Path, faces: dict[str, FaceSet], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(exporting.TOLERANCES, "int8", Tolerance(1, 0, 1))
        export(checkpoint, tmp_path, precision="int8", **faces)
    exported = Checkpoint.open(tmp_path)
    measured = score(faces["validation"], exported.card, build_engine("onnx", tmp_path), precision="int8")
    assert exported.metrics.splits == {"PublicTest": {"onnx": measured}}
    assert exported.accuracies == {FER2013: measured.schemes[FER2013].accuracy}
    model = onnx.load(str(tmp_path / ONNX))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for part, least, most in (("conv_dw", 65, 127), ("conv_pw", 33, 64)):  # what CPUs without VNNI can sum
        weight = onnx.numpy_helper.to_array(constants[f"model.trunk.network.blocks.3.0.{part}.weight_quantized"])
        assert weight.dtype == np.int8
        assert least <= np.abs(weight).max() <= most
    assert "model.emotion_heads.attention.spatial.weight" in constants  # its groups would be computed one by one
    assert any(node.op_type == "Conv" and node.input[0] == "images" for node in model.graph.node), "in float32"
    shapes = [node for node in model.graph.node if node.op_type == "Shape"]
    assert not any(node.input[0].endswith("DequantizeLinear_Output") for node in shapes)
    assert (tmp_path / ONNX).stat().st_size < 0.5 * 4 * Checkpoint.open(tmp_path).card.cost["parameters"]
    for file in (tmp_path / ONNX, checkpoint / ONNX):
        assert b'File "' not in file.read_bytes()


def test_licence_and_history_travel_and_figures_of_a_file_go_with_it(
    checkpoint: Path, faces: dict[str, FaceSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, card = load_checkpoint(checkpoint)
    history = [Epoch("a", 1, val_accuracy=0.5)]
    given, plain = replace(card, licence="for research"), Measured("fp32", {FER2013: Figures(0.5, 0.4)})
    metrics = Metrics().add("PublicTest", "torch", plain)
    save_checkpoint(model, given, tmp_path / "given", history, metrics=metrics)
    monkeypatch.setitem(exporting.TOLERANCES, "int8", Tolerance(1, 0, 1))
    export(tmp_path / "given", tmp_path / "file", precision="int8", **faces)
    written = Checkpoint.open(tmp_path / "file")
    assert (written.card.licence, list(written.history)) == ("for research", history)
    assert set(written.metrics.splits["PublicTest"]) == {"torch", "onnx"}
    export(tmp_path / "given", tmp_path / "file", precision="fp32")
    assert Checkpoint.open(tmp_path / "file").metrics == metrics


def test_an_export_that_differs_is_refused_and_what_was_there_stays(
    checkpoint: Path, faces: dict[str, FaceSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(checkpoint, tmp_path, precision="fp32")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    quantise = exporting.quantise

    def wrong(path: Path, *arguments: object) -> None:
        from onnx import numpy_helper

        model = onnx.load(str(path))
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.ndim == 4:
                tensor.CopyFrom(numpy_helper.from_array(5 * values, tensor.name))
        onnx.save(model, str(path))
        quantise(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(exporting, "quantise", wrong)
    with pytest.raises(ExportError, match="because it differs from PyTorch"):
        export(checkpoint, tmp_path, precision="int8", **faces)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("parity", "allowed"),
    [
        (Parity(500, 0.001, 1.0, 0.0), True),
        (Parity(500, 0.03, 1.0, 0.0), False),
        (Parity(500, 0.001, 0.99, 0.0), True),
        (Parity(500, 0.001, 0.988, 0.0), False),
        (Parity(500, 0.001, 1.0, 0.004), False),
        (Parity(6, 0.001, 5 / 6, 1 / 6), True),  # a single face, which may be a tie
        (Parity(6, 0.001, 4 / 6, 0.0), False),
        (Parity(6, 0.001, 1.0, 2 / 6), False),
    ],
)
def test_what_is_near_enough(parity: Parity, allowed: bool) -> None:
    assert exporting.TOLERANCES["fp16"].allows(parity) == allowed


def test_what_cannot_be_exported(checkpoint: Path, faces: dict[str, FaceSet], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose from onnx: fp32, fp16, int8; openvino: fp32, fp16, bf16, int8"):
        export(checkpoint, tmp_path, precision="bf16")
    with pytest.raises(ConfigError, match="name the data set"):
        export(checkpoint, tmp_path, precision="int8")
    with pytest.raises(SplitError, match="only validation"):
        export(checkpoint, tmp_path, validation=faces["training"])
    with pytest.raises(SplitError, match="only train "):
        export(checkpoint, tmp_path, precision="int8", training=faces["validation"], validation=faces["validation"])
    assert not (tmp_path / CARD).exists()


def test_files_come_beside_each_other_but_not_beside_another_network(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    model, card = load_checkpoint(checkpoint)
    save_checkpoint(model, card, tmp_path)
    export(tmp_path)
    export(tmp_path, engine="openvino", precision="bf16")
    assert Checkpoint.open(tmp_path).card.precision == {"onnx": "fp16", "openvino": "bf16"}
    assert set(Checkpoint.open(tmp_path).card.sha256) == {SAFETENSORS, ONNX, *FILES["openvino"]}
    save_checkpoint(model, replace(card, name="another"), tmp_path / "another")
    with pytest.raises(ConfigError, match="holds another network"):
        export(tmp_path / "another", tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("openvino") is not None, reason="OpenVINO is installed")
def test_without_openvino(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="fast"):
        export(checkpoint, tmp_path, engine="openvino")
