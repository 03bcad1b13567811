from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")


from cmaen.errors import ConfigError  # noqa: E402
from cmaen.losses import LossSpec, cmaen_loss  # noqa: E402
from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.network import ExchangeAttention, JoinedNetwork, encode_places  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from tests.conftest import TINY  # noqa: E402

PARTS: dict[str, dict[str, Any]] = {
    "whole": {},
    "attention both ways": {"attention": "both_ways"},
    "a smaller image for the side": {"side_size": 64},
    "without attention": {"attention": "none"},
    "without emotion heads": {"emotion_heads": False},
    "without multi-scale attention": {"scales": None},
    "without the pyramid": {"pyramid_channels": None},
    "without the adaptive ensemble": {"adaptive_ensemble": False},
    "without a side": {"side": None},
    "the E-CNN alone": {"trunk": "ecnn", "side": None},
    "the E-CNN first": {"trunk": "ecnn", "side": "mobilenet_v1"},
    "two backbones": {"side": "timm/test_efficientnet", "attention": "both_ways", "scales": None},
    "bare": {"side": None, "pyramid_channels": None, "emotion_heads": False},
}


def network(**changes: Any) -> JoinedNetwork:
    torch.manual_seed(0)
    built = build_network(ModelSpec(**(TINY | {"wiring": "residual"} | changes)))
    assert isinstance(built, JoinedNetwork)
    return built


def images(count: int = 4, side: int = 128) -> Any:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("part", PARTS)
def test_it_begins_as_its_trunk_and_all_of_it_learns(part: str) -> None:
    model = network(**PARTS[part])
    output = model(images())
    assert output.logits.shape == (4, 7)
    assert torch.equal(output.logits, model.trunk_classifier(output.features))
    if model.ensemble is not None:  # one step after the beginning
        torch.nn.init.normal_(model.ensemble.fixed)
        for layer in model.ensemble.layers or ():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=0.1)
    for joining in model.pyramid.joining if model.pyramid else ():
        torch.nn.init.normal_(joining.weight, std=0.1)
    output = model(images())
    if model.ensemble is not None:
        assert not torch.allclose(output.logits, model.trunk_classifier(output.features))
    cmaen_loss(output, torch.eye(7)[:4], LossSpec(focal=0.3)).backward()
    still = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert not still


@pytest.mark.parametrize("wiring", ["residual", "paper"])
def test_the_side_sees_the_image_reduced_by_area(wiring: str) -> None:
    made = [build_network(ModelSpec(**TINY | {"wiring": wiring, "side_size": size})).eval() for size in (64, None)]
    made[1].load_state_dict(made[0].state_dict())
    seen = []
    made[0].side.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    made[0](images(side=128))
    assert torch.allclose(seen[0], torch.nn.functional.avg_pool2d(images(side=128), 2), atol=1e-5)
    reduced, whole = (model(images(side=64)).features for model in made)
    assert torch.allclose(reduced, whole, atol=1e-4)
    with pytest.raises(ConfigError, match="side_size is 64, but the image has only 48 x 48 pixels; use a smaller"):
        made[0](images(side=48))


def test_what_is_switched_off_is_not_there() -> None:
    bare = network(**PARTS["bare"])
    trunk = sum(value.numel() for value in bare.trunk.parameters())
    assert sum(value.numel() for value in bare.parameters()) == trunk + 7 * bare.trunk.channels[-1] + 7
    assert bare(images()).emotion_logits is None
    assert bare(images()).fusion_logits is None
    assert network(emotion_heads=False).emotion_heads is None


def test_attention_is_over_many_keys_or_refused() -> None:
    maps = network().forward_features(images(side=96), return_attention=True).attention
    assert maps.shape[-1] >= 16
    assert torch.allclose(maps.sum(dim=-1), torch.ones(()))
    with pytest.raises(ConfigError, match="at least 4 x 4 keys"):
        network(ecnn_stem="paper")(images(side=96))


def test_attention_differs_from_face_to_face_and_from_place_to_place() -> None:
    torch.manual_seed(0)
    attention = ExchangeAttention(8, 12, dim=16, heads=2).eval()
    query, context = torch.randn(2, 8, 6, 6), torch.randn(2, 12, 5, 5)
    found, maps, _ = attention(query, context, return_attention=True)
    assert found.shape == (2, 16, 6, 6)
    assert torch.allclose(found, attention(query, context).fused, atol=1e-6)
    assert maps.std(dim=0).mean() > 0.1 * maps.std(dim=-1).mean()
    assert maps.std(dim=2).mean() > 0.1 * maps.std(dim=-1).mean()


def test_places_are_told_apart_and_are_those_of_the_face_at_every_size() -> None:
    small = encode_places(torch.zeros(1, 1, 4, 4), 32)[0]
    assert torch.cdist(small, small).fill_diagonal_(1).min() > 0.1
    large = encode_places(torch.zeros(1, 1, 12, 12), 32)[0].reshape(12, 12, 32)
    middle = large[1::3, 1::3].reshape(16, 32)  # the centres of 3 x 3 places are those of the small map
    assert torch.allclose(middle, small, atol=1e-4)
