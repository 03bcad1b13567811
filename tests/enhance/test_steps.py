from __future__ import annotations

from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("spandrel")
pytest.importorskip("spandrel_extra_arches")

from cmaen.enhance.steps import Colorization, SuperResolution, _authors_network, build_chain  # noqa: E402
from cmaen.errors import CheckpointError, ConfigError  # noqa: E402

VARIANTS: dict[str, dict[str, Any]] = {  # each of the authors' upsamplers, far smaller
    "classical": {"upsampler": "pixelshuffle", "resi_connection": "1conv"},
    "lightweight": {"upsampler": "pixelshuffledirect", "resi_connection": "1conv"},
    "real-world, medium": {"upsampler": "nearest+conv", "resi_connection": "1conv"},
    "real-world, large": {"upsampler": "nearest+conv", "resi_connection": "3conv"},
}


def swinir(path: Path, variant: str = "lightweight", wrapped: str | None = None) -> Path:
    """Write weights of a small SwinIR."""
    from spandrel.architectures.SwinIR import SwinIR

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"embed_dim": 12, "depths": [2, 2], "num_heads": [2, 2], "window_size": 8, "img_size": 16}
    network = SwinIR(upscale=4, **sizes, **VARIANTS[variant])
    state = network.state_dict()
    torch.save({wrapped: state} if wrapped else state, path)
    return path


@pytest.fixture(scope="module")
def ddcolor(tmp_path_factory: pytest.TempPathFactory) -> Colorization:
    """A DDColor, the small one of its authors, from its file."""
    from spandrel_extra_arches.architectures.DDColor import DDColor

    torch.manual_seed(0)
    network = DDColor(
        encoder_name="convnext-t", num_output_channels=2, last_norm="Spectral", num_queries=20, dec_layers=3
    )
    path = tmp_path_factory.mktemp("ddcolor") / "weights.pth"
    torch.save({"params": network.state_dict()}, path)
    step = Colorization(path)
    path.unlink()  # it is large
    return step


def faces(count: int = 2, side: int = 24) -> np.ndarray:
    grey = np.random.default_rng(0).integers(0, 256, (count, side, side, 1), np.uint8)
    return np.asarray(grey.repeat(3, axis=3))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_of_swinir_enlarges_four_times(variant: str, tmp_path: Path) -> None:
    step = SuperResolution(swinir(tmp_path / "weights.pth", variant))
    together = step(faces())
    assert together.shape == (2, 96, 96, 3)
    assert together.dtype == np.uint8
    assert np.abs(together[1:].astype(int) - step(faces()[1:])).max() <= 1


OFFICIAL: dict[str, tuple[str, dict[str, Any]]] = {  # every published variant at its own size
    "swinir classical": (
        "SwinIR",
        {"embed_dim": 180, "depths": [6] * 6, "num_heads": [6] * 6, **VARIANTS["classical"]},
    ),
    "swinir lightweight": (
        "SwinIR",
        {"embed_dim": 60, "depths": [6] * 4, "num_heads": [6] * 4, **VARIANTS["lightweight"]},
    ),
    "swinir-m": (
        "SwinIR",
        {"embed_dim": 180, "depths": [6] * 6, "num_heads": [6] * 6, **VARIANTS["real-world, medium"]},
    ),
    "swinir-l": (
        "SwinIR",
        {"embed_dim": 240, "depths": [6] * 9, "num_heads": [8] * 9, **VARIANTS["real-world, large"]},
    ),
    "ddcolor tiny": ("DDColor", {"encoder_name": "convnext-t"}),
    "ddcolor": ("DDColor", {"encoder_name": "convnext-l"}),
}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are built with whatever lies in their memory: to draw millions of first weights takes seconds."""
    for name in ("uniform_", "normal_", "erfinv_", "mul_", "add_", "clamp_"):  # all that trunc_normal_ computes
        monkeypatch.setattr(torch.Tensor, name, lambda values, *_, **__: values)
    monkeypatch.setattr(torch, "linspace", partial(torch.linspace, device="cpu"))  # read by networks without memory


@pytest.mark.parametrize("variant", OFFICIAL)
def test_every_official_variant_is_built_from_its_own_tensors(variant: str, undrawn: None) -> None:
    from spandrel.architectures.SwinIR import SwinIR, SwinIRArch
    from spandrel_extra_arches.architectures.DDColor import DDColor, DDColorArch

    kind, sizes = OFFICIAL[variant]
    with torch.device("meta"):  # the published network says what its tensors are, and needs no memory for that
        if kind == "SwinIR":
            network, architecture = SwinIR(upscale=4, img_size=64, window_size=8, **sizes), SwinIRArch()
        else:
            heads = {"num_output_channels": 2, "last_norm": "Spectral", "num_queries": 100, "dec_layers": 9}
            network, architecture = DDColor(**heads, **sizes), DDColorArch()
    published = network.state_dict()
    numbers = torch.arange(max(value.numel() for value in published.values()) + len(published), dtype=torch.float32)
    state = {  # each number tells where it belongs; all are parts of the same memory
        name: numbers[place : place + value.numel()].view(value.shape)
        for place, (name, value) in enumerate(published.items())
    }
    built = _authors_network(dict(state), architecture, Path(variant), variant)
    assert built.state_dict().keys() == state.keys()
    for name, value in built.state_dict().items():
        assert torch.equal(value.float(), state[name]), name
    assert sum(value.numel() for value in built.parameters()) > {"SwinIR": 5e5, "DDColor": 3e7}[kind]


@pytest.mark.parametrize("wrapped", ["params", "params_ema"])
def test_weights_as_their_authors_wrap_them(wrapped: str, tmp_path: Path) -> None:
    plain = SuperResolution(swinir(tmp_path / "plain.pth"))(faces())
    assert np.array_equal(SuperResolution(swinir(tmp_path / "w.pth", wrapped=wrapped))(faces()), plain)


def test_colour_leaves_lightness_as_it_is(ddcolor: Colorization) -> None:
    step = copy(ddcolor)
    step._network = Vivid()  # random weights hardly colour
    before, after = faces(2, 40), step(faces(2, 40))
    assert after.shape == before.shape
    assert (after[..., 0] != after[..., 2]).mean() > 0.5
    for one, other in zip(before, after, strict=True):
        lightness = [cv2.cvtColor(x.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0] for x in (one, other)]
        assert np.abs(lightness[0] - lightness[1]).max() < 2


class Vivid(torch.nn.Module):
    """A network with far more chroma than exists at most lightnesses."""

    def forward(self, images: Any) -> Any:
        return torch.cat([90 * torch.ones_like(images[:, :1]), -80 * torch.ones_like(images[:, :1])], dim=1)


def test_a_whole_ddcolor_runs_in_batches(ddcolor: Colorization) -> None:
    together = ddcolor(faces())
    assert np.abs(together[1:].astype(int) - ddcolor(faces()[1:])).max() <= 1


def test_a_chain_is_named_and_its_weights_are_of_its_networks(tmp_path: Path) -> None:
    path = str(swinir(tmp_path / "weights.pth"))
    assert [step.name for step in build_chain(["super-resolution"], {"super-resolution": path})] == ["super-resolution"]
    for names in ([], ["sharpen"]):
        with pytest.raises(ConfigError, match="choose from the steps"):
            build_chain(names, {})
    with pytest.raises(CheckpointError, match="does not hold DDColor"):
        build_chain(["colorization"], {"colorization": path})
    Path(path).write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        build_chain(["super-resolution"], {"super-resolution": path})
