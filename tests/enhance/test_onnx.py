from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from cmaen.engines import onnx_session
from cmaen.enhance.colour import resample
from cmaen.enhance.onnx import STEPS, WEIGHTS, mask_windows, open_step
from cmaen.enhance.recipe import NamedStep, Step
from cmaen.enhance.weights import find_shipped
from cmaen.errors import EnhancementError
from cmaen.files import sha256
from tests.conftest import drawn_face

SESSION = partial(onnx_session, threads=1)
LARGEST = 5 * 2**20


@cache
def shipped(name: str) -> Step:
    step = open_step(NamedStep(name, sha256(find_shipped(name))[:16]), find_shipped(name).with_suffix(".onnx"), SESSION)
    assert step is not None
    return step


def drawn(count: int, side: int) -> np.ndarray:
    """Draw smooth grey faces, RGB uint8 [count, side, side, 3]."""
    rng = np.random.default_rng(side)
    faces = np.stack([drawn_face(number % 7, rng) for number in range(count)]).astype(np.float32)
    return np.rint(resample(faces, side, side, smooth=True)).astype(np.uint8)[..., None].repeat(3, axis=3)


@pytest.mark.parametrize("name", STEPS)
def test_the_files_of_the_package_are_made_of_its_weights_and_small(name: str) -> None:
    path = find_shipped(name).with_suffix(".onnx")
    assert SESSION(path).get_modelmeta().custom_metadata_map[WEIGHTS] == sha256(find_shipped(name))
    assert path.stat().st_size < LARGEST
    assert b"/root" not in path.read_bytes()


@pytest.mark.parametrize("side", [8, 13, 48, 50])
def test_a_face_does_not_depend_on_the_others_of_its_batch(side: int) -> None:
    faces = drawn(3, side)
    larger, coloured = shipped("super-resolution"), shipped("colorization")
    large = larger(faces)
    assert large.shape == (3, 4 * side, 4 * side, 3)
    assert np.abs(large[1:2].astype(int) - larger(faces[1:2])).max() <= 1
    assert np.abs(coloured(large)[1:2].astype(int) - coloured(large[1:2])).max() <= 1


@pytest.mark.parametrize("size", [(1, 24, 24), (2, 48, 48), (5, 48, 48), (2, 30, 57), (1, 8, 96)])
def test_the_same_pixels_as_with_pytorch(size: tuple[int, int, int]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("spandrel")
    from cmaen.enhance.steps import build_chain

    count, height, width = size
    wide = drawn(count, max(height, width))[:, :height, :width]
    noise = np.random.default_rng(0).integers(0, 256, (count, height, width, 3)).astype(np.uint8)
    for faces in (wide, noise):
        for step in build_chain(["super-resolution", "colorization"], {}):
            expected, found = step(faces), shipped(step.name)(faces)
            apart = np.abs(expected.astype(int) - found)
            assert found.shape == expected.shape
            assert apart.mean() < 0.001, step.name
            assert (apart > 1).mean() < 1e-4, step.name  # at the edge of the gamut a rounding may count
            faces = expected


def test_enhancing_a_folder_runs_the_same_networks_as_prediction_unless_others_are_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("spandrel")
    from cmaen.enhance.steps import SuperResolution, build_chain

    names = ["super-resolution", "colorization"]
    assert [type(step) for step in build_chain(names, {}, open_session=SESSION)] == list(STEPS.values())
    own = {"super-resolution": str(find_shipped("super-resolution"))}
    assert isinstance(build_chain(names, own, open_session=SESSION)[0], SuperResolution)


def test_the_windows_are_masked_like_the_authors() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("spandrel")
    from cmaen.enhance.light import light_swinir

    block = light_swinir().layers[0].residual_group.blocks[1]  # type: ignore[union-attr,index,operator]
    for size in ((8, 8), (48, 48), (16, 40), (104, 8)):
        assert np.array_equal(mask_windows(*size), block.calculate_mask(size).numpy())


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize(
    "sides", [((48, 48), (96, 96)), ((192, 192), (96, 96)), ((100, 37), (96, 41)), ((1, 5), (4, 2))]
)
def test_pixels_are_resampled_as_by_pytorch(sides: tuple[tuple[int, int], tuple[int, int]], smooth: bool) -> None:
    torch = pytest.importorskip("torch")
    before, after = sides
    images = np.random.default_rng(0).random((2, 3, *before)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(images), size=after, mode="bilinear", antialias=smooth
    ).numpy()
    assert np.abs(resample(images, *after, smooth=smooth) - expected).max() < 1e-5


def test_files_of_other_weights_are_passed_over_and_damaged_ones_are_named(tmp_path: Path) -> None:
    shipped_file = find_shipped("super-resolution").with_suffix(".onnx")
    right = NamedStep("super-resolution", sha256(find_shipped("super-resolution"))[:16])
    assert open_step(right, tmp_path / "none.onnx", SESSION) is None
    assert open_step(NamedStep("super-resolution", "0" * 16), shipped_file, SESSION) is None
    assert open_step(NamedStep("sharpening", right.weights), shipped_file, SESSION) is None
    whole = shipped_file.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        try:
            step = open_step(right, tmp_path / "cut.onnx", SESSION)
        except EnhancementError as error:
            assert "cut.onnx cannot be loaded" in str(error)  # noqa: PT017
        else:
            assert step is None, length  # it is whole but for the note of its weights
    other = NamedStep("colorization", right.weights)
    with pytest.raises(EnhancementError, match="cannot be loaded"):
        open_step(other, shipped_file, SESSION)
