"""The networks of timm: a few small ones of different families, with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

from cmaen.errors import CheckpointError, ConfigError  # noqa: E402
from cmaen.models.backbones import build_backbone  # noqa: E402

NETWORKS = [
    "test_resnet",
    "test_convnext",
    "test_efficientnet",
    "test_efficientnet_gn",
    "test_mambaout",  # its maps have their channels last
    "test_nfnet",
    "test_byobnet",
    "mobilenetv3_small_050",
    "regnetx_002",
    "lcnet_050",
    "ghostnet_050",
]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_three_levels_and_gradients(name: str) -> None:
    backbone = build_backbone(f"timm/{name}")
    levels = backbone(torch.randn(2, 3, 64, 64))
    expected = [
        (2, channels, 64 // stride, 64 // stride)
        for channels, stride in zip(backbone.channels, (8, 16, 32), strict=True)
    ]
    assert [tuple(level.shape) for level in levels] == expected
    sum(level.square().mean() for level in levels).backward()
    still = [key for key, p in backbone.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not still


@pytest.mark.parametrize("name", ["test_vit", "xcit_nano_12_p16_224"])
def test_a_network_without_maps_at_all_strides_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"timm/{name} has maps at strides .*choose a convolutional network"):
        build_backbone(f"timm/{name}")


@pytest.mark.parametrize("name", ["nothing", "", "hf-hub:timm/test_resnet", "test_resnet.r160_in1k", "../test_resnet"])
def test_only_exact_names_are_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm, "create_model", None)
    with pytest.raises(ConfigError, match="timm has no network"):
        build_backbone(f"timm/{name}")


def test_the_input_is_in_the_units_of_the_network() -> None:
    backbone = build_backbone("timm/test_resnet")
    assert timm.get_pretrained_cfg("test_resnet").mean == (0.5, 0.5, 0.5)
    pixels = torch.rand(1, 3, 4, 4)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.allclose((pixels - mean) / std * backbone.gain + backbone.shift, (pixels - 0.5) / 0.5, atol=1e-5)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_mambaout"])
def test_weights_of_timm_and_of_this_backbone_are_read_and_no_others(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = timm.create_model(name)
    torch.save(published.state_dict(), tmp_path / "published.pt")
    backbone = build_backbone(f"timm/{name}", tmp_path / "published.pt").eval()
    images = torch.randn(1, 3, 64, 64)
    expected = published.eval().forward_intermediates(
        images * backbone.gain + backbone.shift, intermediates_only=True, norm=False
    )[-1]
    assert torch.allclose(backbone(images)[-1], expected, atol=1e-5)
    torch.save(backbone.state_dict(), tmp_path / "own.pt")
    again = build_backbone(f"timm/{name}", tmp_path / "own.pt").eval()
    assert torch.equal(backbone(images)[-1], again(images)[-1])
    torch.save(timm.create_model("test_byobnet").state_dict(), tmp_path / "other.pt")
    torch.save({}, tmp_path / "empty.pt")
    torch.save({"network.x": torch.zeros(1)}, tmp_path / "wrong.pt")
    for wrong in ("other", "empty", "wrong"):
        with pytest.raises(CheckpointError, match="does not fit"):
            build_backbone(f"timm/{name}", tmp_path / f"{wrong}.pt")
    data = (tmp_path / "own.pt").read_bytes()
    for length in range(0, len(data), len(data) // 9 + 1):
        (tmp_path / "cut.pt").write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"cut\.pt"):
            build_backbone(f"timm/{name}", tmp_path / "cut.pt")
    with pytest.raises(ConfigError, match="published weights are pretrained"):
        build_backbone(f"timm/{name}", "imagenet")


def test_pretrained_weights_without_a_connection_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    build = timm.create_model

    def refuse(*args: object, pretrained: bool = False, **options: object) -> torch.nn.Module:
        if pretrained:
            raise OSError("no route\n to the host")
        return build(*args, **options)

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(
        CheckpointError, match=r"cannot be downloaded: no route to the host; .*--trunk-weights"
    ) as caught:
        build_backbone("timm/test_resnet", "pretrained")
    assert "\n" not in str(caught.value)
