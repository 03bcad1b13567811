from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cmaen.enhance import weights as weights_module
from cmaen.enhance.prediction import Enhancer, build_enhancer
from cmaen.enhance.recipe import EnhancedFaces
from cmaen.enhance.weights import PUBLISHED, find_shipped
from cmaen.errors import CheckpointError, EnhancementError, MissingExtraError
from cmaen.files import sha256
from tests.enhance.test_onnx import SESSION, drawn, shipped

LIGHT = tuple(f"{name} {sha256(find_shipped(name))[:16]}" for name in ("super-resolution", "colorization"))
CHAIN = ("faces 48-grey", *LIGHT)


class Counts:
    """A step that writes the size of each batch into its faces."""

    name, weights = "super-resolution", "0" * 16

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        self.batches.append(len(faces))
        if (faces == 255).all(axis=(1, 2, 3)).any():
            raise RuntimeError("too bright")
        return faces + np.uint8(1)


def test_crops_of_any_size_are_enhanced_in_batches_and_in_order() -> None:
    step = Counts()
    enhance = Enhancer(EnhancedFaces(8, grey=True), [step, step])
    crops = [np.full((9 + number, 12), number, np.uint8) for number in range(40)]
    assert [face[0, 0, 0] for face in enhance(crops)] == [number + 2 for number in range(40)]
    assert step.batches == [16, 16, 16, 16, 8, 8]
    assert enhance([]) == []
    large = Counts()
    Enhancer(EnhancedFaces(100, grey=True), [large])(crops[:5])
    assert large.batches == [3, 2], "fewer where they take more memory"
    assert enhance.reduce(np.zeros((90, 90, 3), np.uint8)).shape == (8, 8)
    assert enhance.reduce(np.zeros((5, 5, 3), np.uint8)).shape == (5, 5), "what is small stays small"
    with pytest.raises(EnhancementError, match="step super-resolution fails: RuntimeError: too bright"):
        enhance([*crops, np.full((8, 8), 255, np.uint8)])


class Quadruples(Counts):
    def __call__(self, faces: np.ndarray) -> np.ndarray:
        return faces.repeat(4, axis=1).repeat(4, axis=2)


def test_a_card_that_names_a_step_too_often_is_refused_before_memory_is_gone() -> None:
    often = Enhancer(EnhancedFaces(48, grey=True), [Quadruples()] * 30)
    with pytest.raises(EnhancementError, match="faces of 768 pixels are too large"):
        often([np.zeros((48, 48), np.uint8)])
    assert Enhancer(EnhancedFaces(8, grey=True), [Quadruples()] * 2)([np.zeros((9, 9), np.uint8)])[0].shape[0] == 128


def test_the_light_chain_enhances_as_the_card_says(tmp_path: Path) -> None:
    enhance = build_enhancer(CHAIN, tmp_path, open_session=SESSION)
    assert enhance is not None
    faces = drawn(2, 48)
    expected = shipped("colorization")(shipped("super-resolution")(faces))
    found = np.stack(enhance([face[..., 0] for face in faces]))
    assert np.array_equal(found, expected)
    assert (found[..., 0] != found[..., 2]).any()
    assert build_enhancer((), tmp_path, open_session=SESSION) is None
    assert build_enhancer(("faces 48-grey",), tmp_path, open_session=SESSION) is None


def test_the_light_chain_needs_no_pytorch(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = sys.modules["spandrel"] = None  # as if they were not installed
import numpy as np
from pathlib import Path
from cmaen.engines import onnx_session
from cmaen.enhance.prediction import build_enhancer
enhance = build_enhancer({CHAIN!r}, Path("."), open_session=onnx_session, threads=1)
print(enhance([np.zeros((60, 60, 3), np.uint8)])[0].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "(192, 192, 3)", done.stderr


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (f"super-resolution {'0' * 16}", "super-resolution with weights that are not here: copy their file"),
        (f"sharpening {'0' * 16}", "does not have; it has super-resolution, colorization"),
        ("colorization", "without the checksum"),
    ],
)
def test_what_is_missing_is_named_with_advice(entry: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(EnhancementError, match=message) as found:
        build_enhancer((*CHAIN, entry), tmp_path, open_session=SESSION)
    assert isinstance(found.value, CheckpointError)


def test_the_weights_of_a_user_may_lie_in_the_checkpoint(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    own = onnx.load(str(find_shipped("super-resolution").with_suffix(".onnx")))
    helper.set_model_props(own, {"weights": "ab" * 32})
    onnx.save(own, str(tmp_path / "super-resolution.onnx"))
    enhance = build_enhancer(("faces 12-grey", f"super-resolution {'ab' * 8}"), tmp_path, open_session=SESSION)
    assert enhance is not None
    (found,) = enhance([drawn(1, 12)[0]])
    assert found.shape == (48, 48, 3)
    with pytest.raises(EnhancementError, match="not here"):
        build_enhancer((f"super-resolution {'cd' * 8}",), tmp_path, open_session=SESSION)
    (tmp_path / "super-resolution.onnx").write_bytes(b"nothing")
    with pytest.raises(EnhancementError, match=r"super-resolution\.onnx cannot be loaded"):
        build_enhancer((f"super-resolution {'ab' * 8}",), tmp_path, open_session=SESSION)


class TestWithPyTorch:
    """Weights of other networks than the light ones."""

    @pytest.fixture
    def official(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Publish a small SwinIR, and put it where a download would."""
        torch = pytest.importorskip("torch")
        pytest.importorskip("spandrel")
        from tests.enhance.test_steps import swinir

        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
        file = PUBLISHED["swinir-m"]
        path = tmp_path / "checkpoints" / Path(file.address).name
        path.parent.mkdir()
        swinir(path, "real-world, medium")
        monkeypatch.setitem(weights_module.PUBLISHED, "swinir-m", file._replace(sha256=sha256(path)))
        return path

    def test_published_weights_are_found_by_their_checksum(self, official: Path, tmp_path: Path) -> None:
        from cmaen.enhance.steps import SuperResolution

        entries = ("faces 16-colour", f"super-resolution {sha256(official)[:16]}")
        enhance = build_enhancer(entries, tmp_path, open_session=SESSION, threads=1)
        assert enhance is not None
        faces = drawn(2, 16)
        assert np.array_equal(np.stack(enhance(list(faces))), SuperResolution(official)(faces))
        official.write_bytes(b"half a download")
        with pytest.raises(EnhancementError, match="delete it, to download it again"):
            build_enhancer(entries, tmp_path, open_session=SESSION)

    def test_weights_without_a_published_checksum_are_found_too(
        self, official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entries = ("faces 16-grey", f"super-resolution {sha256(official)[:16]}")
        monkeypatch.setitem(weights_module.PUBLISHED, "swinir-m", PUBLISHED["swinir-m"]._replace(sha256=None))
        assert build_enhancer(entries, tmp_path, open_session=SESSION) is not None
        official.unlink()
        with pytest.raises(EnhancementError, match="not here"):
            build_enhancer(entries, tmp_path, open_session=SESSION)

    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_weights_in_the_checkpoint(self, suffix: str, official: Path, tmp_path: Path) -> None:
        entries = ("faces 16-grey", f"super-resolution {sha256(official)[:16]}")
        folder = tmp_path / "best"
        folder.mkdir()
        place = Path(shutil.move(official, folder / f"super-resolution{suffix}"))
        if suffix == ".pth":
            assert build_enhancer(entries, folder, open_session=SESSION) is not None
            return
        with pytest.raises(CheckpointError, match="cannot be read"):  # by their name they are of another format
            build_enhancer(entries, folder, open_session=SESSION)
        assert place.is_file()

    def test_without_pytorch_the_extra_is_named(
        self, official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "cmaen.enhance.steps", None)
        with pytest.raises(MissingExtraError, match=r"cmaen\[enhance\]"):
            build_enhancer((f"super-resolution {sha256(official)[:16]}",), tmp_path, open_session=SESSION)
