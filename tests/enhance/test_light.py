from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("spandrel")

from safetensors.torch import save_file  # noqa: E402

from cmaen.enhance.light import COLOUR_SIDE, LightDDColor, light_swinir  # noqa: E402
from cmaen.enhance.steps import Colorization, SuperResolution, build_chain  # noqa: E402
from cmaen.enhance.weights import PUBLISHED, find_shipped, find_weights  # noqa: E402
from cmaen.errors import CheckpointError, ConfigError  # noqa: E402


def test_the_light_swinir_begins_as_an_interpolation_and_is_read_like_the_authors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = light_swinir().eval()
    faces = torch.rand(2, 3, 24, 24)
    with torch.inference_mode():
        answers = network(faces)
    bilinear = torch.nn.functional.interpolate(faces, scale_factor=4, mode="bilinear")
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    assert (answers - bilinear)[inner].abs().mean() < 0.02
    assert (answers - bilinear)[inner].abs().mean() < 0.2 * (faces - faces.mean()).abs().mean()
    save_file(
        {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()},
        tmp_path / "w.safetensors",
    )
    read = SuperResolution(tmp_path / "w.safetensors")(
        np.rint(255 * faces.permute(0, 2, 3, 1).numpy()).astype(np.uint8)
    )
    assert np.abs(read / 255 - answers.clamp(0, 1).permute(0, 2, 3, 1).numpy()).max() < 0.02


def test_every_part_of_the_light_ddcolor_learns() -> None:
    torch.manual_seed(0)
    network = LightDDColor()
    chroma = network(torch.rand(2, 3, COLOUR_SIDE, COLOUR_SIDE))
    assert chroma.shape == (2, 2, COLOUR_SIDE, COLOUR_SIDE)
    chroma.abs().mean().backward()
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert not still


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_shipped_chain_enlarges_and_colours(bfloat16: bool) -> None:
    grey = np.random.default_rng(0).integers(60, 200, (2, 12, 12, 1)).astype(np.uint8)
    faces = grey.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3)
    larger, coloured = build_chain(["super-resolution", "colorization"], {}, bfloat16=bfloat16)
    large = larger(faces)
    assert large.shape == (2, 192, 192, 3)
    assert np.abs(large[:, 2::4, 2::4].astype(int) - faces).mean() < 12
    colour = coloured(large)
    assert colour.shape == large.shape
    assert (colour[..., 0] != colour[..., 2]).mean() > 0.5
    assert sum(find_shipped(step).stat().st_size for step in ("super-resolution", "colorization")) < 15e6


def test_weights_are_a_file_or_a_published_name(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").touch()
    assert find_weights("colorization", str(tmp_path / "mine.pth")) == tmp_path / "mine.pth"
    with pytest.raises(ConfigError, match="neither a file nor one of"):
        find_weights("colorization", "swinir-l")
    with (
        patch("torch.hub.get_dir", return_value=str(tmp_path)),
        patch("cmaen.checkpoints.hub.urlopen", side_effect=OSError("no network")) as fetch,
    ):
        with pytest.raises(ConfigError, match=r"no network.*download https://github.com/JingyunLiang.*by hand"):
            find_weights("super-resolution", "swinir-l")
        assert fetch.call_args.args[0].full_url == PUBLISHED["swinir-l"].address
        with pytest.raises(ConfigError, match="without a checksum"):
            find_weights("colorization", "ddcolor")
    assert fetch.call_count == 1


def test_damaged_light_weights_are_named(tmp_path: Path) -> None:
    state = {name: value for name, value in LightDDColor().state_dict().items() if "stem" not in name}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="does not fit colorization"):
        Colorization(tmp_path / "w.safetensors")
