from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cmaen.errors import CheckpointError, ConfigError  # noqa: E402
from cmaen.models.backbones import BACKBONES, adapt_statistics, build_backbone  # noqa: E402
from cmaen.models.backbones.base import ConvNorm  # noqa: E402
from cmaen.models.backbones.efficientnet import DepthwiseConv  # noqa: E402
from cmaen.models.backbones.mobilenet import SLIM_WIDTHS  # noqa: E402
from cmaen.preprocessing import PreprocessSpec  # noqa: E402


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_backbone_gives_three_levels_and_gradients(name: str) -> None:
    backbone = build_backbone(name)
    images = torch.randn(2, 3, 64, 64)
    levels = backbone(images)
    shapes = [
        (2, channels, 64 // stride, 64 // stride)
        for channels, stride in zip(backbone.channels, (8, 16, 32), strict=True)
    ]
    assert [tuple(level.shape) for level in levels] == shapes
    levels[-1].square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in backbone.parameters())


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_weights_that_are_not_there(name: str) -> None:
    with pytest.raises(ConfigError, match="nothing"):
        build_backbone(name, "nothing.pt")


def test_local_weights_are_loaded_and_wrong_ones_refused(tmp_path: Path) -> None:
    original = build_backbone("mobilenet_v1")
    path = tmp_path / "weights.pt"
    torch.save(original.state_dict(), path)
    loaded = build_backbone("mobilenet_v1", path)
    assert all(
        torch.equal(a, b) for a, b in zip(original.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    with pytest.raises(CheckpointError, match="does not fit"):
        build_backbone("sface", path)
    path.write_bytes(b"not weights")
    with pytest.raises(CheckpointError):
        build_backbone("mobilenet_v1", path)


@torch.no_grad()
def test_the_slim_mobilenet_keeps_the_channels_that_matter(tmp_path: Path) -> None:
    wide = build_backbone("mobilenet_v1").eval()
    for norm in (module for module in wide.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(0, 0.5)
    read = {}
    for stage, (block, width) in enumerate(zip(wide.stages[1:], SLIM_WIDTHS, strict=False)):
        read[stage] = torch.randperm(block.pointwise.conv.in_channels)[:width].sort().values
        unread = torch.ones(block.pointwise.conv.in_channels, dtype=torch.bool)
        unread[read[stage]] = False
        block.pointwise.conv.weight[:, unread] = 0
    torch.save(wide.state_dict(), tmp_path / "wide.pt")
    slim = build_backbone("mobilenet_v1_slim", tmp_path / "wide.pt").eval()
    assert sum(p.numel() for p in slim.parameters()) < 1.3e6
    images = torch.randn(2, 3, 64, 64)
    *finer, last = wide(images)
    *slim_finer, slim_last = slim(images)
    for stage, before, after in zip((5, 11), finer, slim_finer, strict=True):
        assert torch.allclose(before[:, read[stage]], after, atol=1e-4)
    difference = (last[:, :, None] - slim_last[:, None]).abs().amax(dim=(0, 3, 4))  # of each pair of channels
    assert (difference.amin(dim=0) < 1e-4).all()
    torch.save(slim.state_dict(), tmp_path / "slim.pt")
    again = build_backbone("mobilenet_v1_slim", tmp_path / "slim.pt").eval()
    assert torch.equal(again(images)[-1], slim_last)
    torch.save(build_backbone("sface").state_dict(), tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="does not fit the slim MobileNetV1"):
        build_backbone("mobilenet_v1_slim", tmp_path / "other.pt")


def test_a_pickle_that_holds_more_than_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"weights": Path("x")}, path)
    with pytest.raises(CheckpointError):
        build_backbone("mobilenet_v1", path)


def test_an_unknown_backbone_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="efficientnet_v2_s"):
        build_backbone("vgg")


def test_the_subsampled_depthwise_convolution_is_the_strided_one() -> None:
    layer = ConvNorm(8, 8, 3, stride=2, groups=8).bfloat16()
    layer.norm = torch.nn.Identity()
    x = torch.randn(2, 8, 12, 12, dtype=torch.bfloat16)
    assert torch.equal(layer.train()(x), layer.eval()(x))


@pytest.mark.parametrize(("bfloat16", "strides"), [(False, [2, 2, 2, 2]), (True, [1, 1, 1, 1])])
def test_depthwise_convolutions_are_subsampled_only_where_it_is_faster(
    bfloat16: bool, strides: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = torch.nn.functional.conv2d, []

    def noted(*args: torch.Tensor, **kwargs: int) -> torch.Tensor:
        if kwargs["groups"] > 1:
            seen.append(kwargs.get("stride", 1))
        return original(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "conv2d", noted)
    backbone = build_backbone("mobilenet_v1").train()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        backbone(torch.randn(2, 3, 64, 64))
    reduced = [stride for number, stride in enumerate(seen) if number in (1, 3, 5, 11)]
    assert reduced == strides


def test_in_training_small_maps_are_padded_before_a_depthwise_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    original, slow = torch.nn.functional.conv2d, []

    def noted(x, weight, bias, stride, padding=0, dilation=1, groups=1) -> torch.Tensor:
        if groups > 1 and min(x.shape[-2:]) < 3 and padding != 0:
            slow.append(x.shape)
        return original(x, weight, bias, stride, padding, dilation, groups)

    monkeypatch.setattr(torch.nn.functional, "conv2d", noted)
    backbone = build_backbone("efficientnet_v2_s").train()
    backbone(torch.randn(2, 3, 64, 64))
    assert not slow
    backbone.eval()(torch.randn(2, 3, 64, 64))
    assert slow  # there are such maps, and the export is unchanged


@pytest.mark.parametrize("stride", [1, 2])
def test_the_padded_depthwise_convolution_is_the_other(stride: int) -> None:
    layer = DepthwiseConv(8, 8, 3, stride=stride, padding=1, groups=8)
    x = torch.randn(4, 8, 2, 2, requires_grad=True)
    results = []
    for training in (True, False):
        out = layer.train(training)(x)
        results.append((out, *torch.autograd.grad(out.square().sum(), (x, layer.weight, layer.bias))))
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(*results, strict=True))


@pytest.mark.parametrize("side", [2, 5, 12])
def test_in_training_in_bfloat16_a_depthwise_convolution_is_subsampled(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = DepthwiseConv(8, 8, 3, stride=2, padding=1, groups=8).bfloat16()
    x = torch.randn(4, 8, side, side, dtype=torch.bfloat16)
    strided = layer.eval()(x)
    original, strides = torch.nn.functional.conv2d, []

    def noted(x, weight, bias, stride, *args, **kwargs) -> torch.Tensor:
        strides.append(stride)
        return original(x, weight, bias, stride, *args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "conv2d", noted)
    assert torch.equal(layer.train()(x), strided)
    layer.float()(x.float())
    assert strides == [1, (2, 2)]


def test_adapting_the_statistics_changes_them_and_not_the_result() -> None:
    backbone = build_backbone("mobilenet_v1").eval()
    images = torch.randn(8, 3, 64, 64)
    before = backbone(images)[-1]
    adapt_statistics(backbone, images)
    norm = backbone.stages[0].norm
    assert not torch.equal(norm.running_mean, torch.zeros(32))
    assert torch.allclose(before, backbone(images)[-1], atol=1e-4)


def test_sface_computes_what_opencv_computes() -> None:
    cv2 = pytest.importorskip("cv2")
    from cmaen.models.backbones.sface import _locate

    backbone = build_backbone("sface", "installed").eval()
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8), (0, 0), 4)
    net = cv2.dnn.readNet(str(_locate()))
    net.setInput(cv2.dnn.blobFromImage(picture))  # RGB, the network's input
    expected = net.forward("onnx_node!conv_14_relu")
    spec = PreprocessSpec(image_size=224, source_size=None, grey=False)
    doubled = picture.repeat(2, axis=0).repeat(2, axis=1)
    with torch.inference_mode():
        result = backbone(torch.from_numpy(spec([doubled])))[-1].numpy()
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_sface_is_restored_from_its_own_weights_and_from_no_others(tmp_path: Path) -> None:
    original = build_backbone("sface", "installed").eval()
    torch.save(original.state_dict(), tmp_path / "own.pt")
    restored = build_backbone("sface", tmp_path / "own.pt").eval()
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(original(images)[-1], restored(images)[-1])
    torch.save(build_backbone("mobilenet_v1").state_dict(), tmp_path / "other.pt")
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    for name in ("other.pt", "broken.onnx"):
        with pytest.raises(CheckpointError):
            build_backbone("sface", tmp_path / name)


def faceres_like(folder: Path, rng: np.random.Generator) -> Path:
    """Write a TensorFlow.js model with the names and shapes of faceres-deep and random values."""
    tensors = {"conv1/convolution/merged_input": (3, 3, 3, 32), "conv1_bn/batchnorm_1/sub": (32,)}
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    for i, (c, d) in enumerate(pairwise(widths), start=1):
        tensors[f"conv_dw_{i}/depthwise_kernel"] = (3, 3, c, 1)
        tensors[f"conv_dw_{i}_bn/batchnorm_1/mul"] = tensors[f"conv_dw_{i}_bn/batchnorm_1/sub"] = (c,)
        tensors[f"conv_pw_{i}/convolution/merged_input"] = (1, 1, c, d)
        tensors[f"conv_pw_{i}_bn/batchnorm_1/sub"] = (d,)
    values = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in tensors.items()}
    (folder / "faceres.bin").write_bytes(b"".join(value.tobytes() for value in values.values()))
    weights = [{"name": name, "shape": list(value.shape), "dtype": "float32"} for name, value in values.items()]
    path = folder / "faceres.json"
    path.write_text(json.dumps({"weightsManifest": [{"paths": ["faceres.bin"], "weights": weights}]}))
    return path


def test_faceres_computes_what_its_folded_layers_say(tmp_path: Path) -> None:
    from cmaen.models.backbones.mobilenet import _read_tfjs

    path = faceres_like(tmp_path, np.random.default_rng(0))
    tensors = {name: torch.from_numpy(value.copy()) for name, value in _read_tfjs(path).items()}
    backbone = build_backbone("mobilenet_v1", path).eval()
    rgb = torch.rand(2, 3, 32, 32)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    x = torch.nn.functional.pad((rgb * deviation * 255).flip(1), (0, 1, 0, 1))  # BGR on the scale 0 to 255
    kernel = tensors["conv1/convolution/merged_input"].permute(3, 2, 0, 1)
    x = torch.conv2d(x, kernel, tensors["conv1_bn/batchnorm_1/sub"], stride=2).clamp(0, 6)
    assert torch.allclose(backbone.stages[0](rgb), x, atol=1e-3)
    kernel = tensors["conv_dw_1/depthwise_kernel"].permute(2, 3, 0, 1)
    x = torch.conv2d(x, kernel, padding=1, groups=32) * tensors["conv_dw_1_bn/batchnorm_1/mul"].view(-1, 1, 1)
    x = (x + tensors["conv_dw_1_bn/batchnorm_1/sub"].view(-1, 1, 1)).clamp(0, 6)
    kernel = tensors["conv_pw_1/convolution/merged_input"].permute(3, 2, 0, 1)
    x = torch.conv2d(x, kernel, tensors["conv_pw_1_bn/batchnorm_1/sub"]).clamp(0, 6)
    assert torch.allclose(backbone.stages[:2](rgb), x, atol=1e-3)


def test_a_broken_faceres_is_named(tmp_path: Path) -> None:
    path = faceres_like(tmp_path, np.random.default_rng(0))
    data = (tmp_path / "faceres.bin").read_bytes()
    (tmp_path / "faceres.bin").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r"not a complete TensorFlow\.js model"):
        build_backbone("mobilenet_v1", path)
    path.write_text(json.dumps({"weightsManifest": []}))
    with pytest.raises(CheckpointError, match="not faceres-deep"):
        build_backbone("mobilenet_v1", path)


@pytest.mark.parametrize(
    "error", [OSError("no route"), URLError("no\n name"), RuntimeError("invalid hash value"), EOFError("cut off")]
)
def test_published_weights_without_a_connection_are_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import WeightsEnum

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)
    with pytest.raises(CheckpointError, match=r"IMAGENET1K_V1 cannot be downloaded from https://.*by hand") as caught:
        build_backbone("efficientnet_v2_s", "IMAGENET1K_V1")
    assert "\n" not in str(caught.value)


def test_weights_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    for number, state in enumerate(({"a": 1}, {1: torch.zeros(1)}, {})):
        path = tmp_path / f"{number}.pt"
        torch.save(state, path)
        with pytest.raises(CheckpointError, match="does not fit"):
            build_backbone("mobilenet_v1", path)
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"weightsManifest": [{"paths": ["../secret"], "weights": []}]}))
    (tmp_path.parent / "secret").touch()
    with pytest.raises(CheckpointError, match="not a file beside the manifest"):
        build_backbone("mobilenet_v1", path)
