from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from cmaen.errors import ConfigError  # noqa: E402
from cmaen.models.attention import CrossModalAttention  # noqa: E402
from cmaen.models.build import build_cmaen  # noqa: E402
from cmaen.models.cmaen import CMAEN  # noqa: E402
from cmaen.models.ecnn import ECNN  # noqa: E402
from tests.conftest import TINY  # noqa: E402

SWITCHES = [
    {},
    {"cross_modal_attention": False},
    {"emotion_heads": False},
    {"multi_scale_attention": False},
    {"feature_pyramid": False},
    {"adaptive_ensemble": False},
    {"ecnn": False},
    {"backbone": None},
    {"bidirectional": True},
    {"ecnn_stem": "paper"},
    {"ecnn_stem_stride": 1},
]


def images(count: int = 2, side: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def gradients(model: CMAEN, side: int = 64) -> dict[str, float]:
    """The largest gradient in each weight, after a step back from all logits of two faces."""
    output = model(images(side=side))
    assert output.logits.shape == output.fusion_logits.shape == (2, 7)
    (output.logits.square().sum() + output.fusion_logits.square().sum()).backward()
    found = {name: 0.0 if p.grad is None else p.grad.abs().max().item() for name, p in model.named_parameters()}
    model.zero_grad()
    return found


def attentions(model: CMAEN) -> list[CrossModalAttention]:
    return [module for module in model.modules() if isinstance(module, CrossModalAttention)]


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_every_switch_gives_a_network_whose_every_weight_learns(switch: dict[str, object]) -> None:
    """All but the biases that cancel: of the keys in the softmax, and of what the norm of the fusion centres."""
    torch.manual_seed(0)
    model = build_cmaen(**{**TINY, **switch})
    for attention in attentions(model):
        torch.nn.init.ones_(attention.gamma)  # at 0 nothing behind it learns in the first step
    cancels = re.compile(r"fusion\..*(key|value|proj)\.bias")
    still = {name: size for name, size in gradients(model, side=128).items() if size < 1e-5}  # x4 8 x 8, f 4 x 4
    assert all(cancels.fullmatch(name) for name in still), still
    assert any(name.endswith("proj.bias") for name in still)  # so that 1e-5 is not too low


@pytest.mark.parametrize("bidirectional", [False, True])
def test_at_its_start_gamma_learns_and_then_what_is_behind_it(bidirectional: bool) -> None:
    torch.manual_seed(0)
    model = build_cmaen(**TINY, bidirectional=bidirectional)
    first = gradients(model)
    for attention in attentions(model):
        torch.nn.init.constant_(attention.gamma, 1e-2)  # a step later
    second = gradients(model)
    for way in ("forth", "back") if bidirectional else ("forth",):
        asked = {f"fusion.{way}.{part}.weight" for part in ("query", "key", "value")}
        assert all(first[name] == 0 for name in asked)
        assert all(second[name] > 1e-6 for name in asked)
        assert first[f"fusion.{way}.gamma"] > 1e-5
        assert first[f"fusion.{way}.proj.weight"] > 1e-5
    assert all(size > 1e-5 for name, size in first.items() if name.startswith("backbone.stages.0"))


@pytest.mark.parametrize("switch", SWITCHES[1:], ids=str)
def test_every_switch_changes_the_network(switch: dict[str, object]) -> None:
    """It has other weights, or computes something else from the same ones."""

    def build(**changes: object) -> CMAEN:
        torch.manual_seed(0)
        return build_cmaen(**{**TINY, **changes}).eval()

    def shapes(model: CMAEN) -> dict[str, tuple[int, ...]]:
        return {name: tuple(p.shape) for name, p in model.named_parameters()}

    plain, switched = build(), build(**switch)
    assert torch.equal(plain(images()).logits, build()(images()).logits)
    if shapes(plain) == shapes(switched):
        assert not torch.equal(plain(images()).logits, switched(images()).logits)


def test_the_gate_weighs_the_two_classifiers_face_by_face() -> None:
    model = build_cmaen(**TINY).eval()
    output = model(images(5) * torch.arange(1, 6).view(-1, 1, 1, 1))
    assert torch.allclose(output.gate.sum(dim=1), torch.ones(5))
    assert output.gate.std(dim=0).min() > 0
    expected = output.gate[:, :1] * output.emotion_logits + output.gate[:, 1:] * output.fusion_logits
    assert torch.allclose(output.logits, expected)


def test_without_the_ensemble_the_classifiers_are_averaged() -> None:
    output = build_cmaen(**TINY, adaptive_ensemble=False).eval()(images())
    assert torch.allclose(output.logits, (output.emotion_logits + output.fusion_logits) / 2)


def test_without_heads_the_fusion_classifier_answers() -> None:
    output = build_cmaen(**TINY, emotion_heads=False).eval()(images())
    assert torch.equal(output.logits, output.fusion_logits)
    assert output.emotion_logits is None
    assert output.gate is None


def test_the_cross_modal_maps_come_when_they_are_asked_for() -> None:
    model = build_cmaen(**TINY).eval()
    assert model(images()).attention is None
    attention = model(images(), return_attention=True).attention
    assert attention.shape == (2, 2, 16, 4)  # x4 is 4 x 4, the backbone's map 2 x 2
    assert torch.allclose(attention.sum(dim=-1), torch.ones(2, 2, 16), atol=1e-5)


def test_a_face_is_judged_alone() -> None:
    """In evaluation, the other faces of a batch do not matter."""
    model = build_cmaen(**TINY).eval()
    batch = images(4)
    assert torch.allclose(model(batch).logits[2], model(batch[2:3]).logits[0], atol=1e-5)


def test_no_pathway_is_no_network() -> None:
    with pytest.raises(ConfigError, match="at least one pathway"):
        build_cmaen(backbone=None, ecnn=False)


def test_the_papers_network_takes_the_papers_size() -> None:
    model = build_cmaen().eval()
    with torch.inference_mode():
        levels = model.ecnn(torch.zeros(1, 3, 224, 224))
        features = model.forward_features(torch.zeros(1, 3, 224, 224))
    assert [level.shape[1:] for level in levels] == [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]
    assert model.backbone.channels[-1] == 1280
    assert features.fused.shape == (1, 256, 7, 7)


def test_eight_faces_are_learnt_by_heart() -> None:
    torch.manual_seed(0)
    model = build_cmaen(**TINY)
    batch, labels = images(8), torch.arange(8) % 7
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(batch).logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model(batch).logits.argmax(dim=1) == labels).all()


def test_stochastic_depth_leaves_blocks_out_in_training_alone() -> None:
    torch.manual_seed(0)
    ecnn = ECNN(widths=(8, 8, 16, 16), stem="small", dropout=0.0, stochastic_depth=0.9)
    faces = torch.rand(4, 3, 64, 64)
    drops = [block.drop.p for stage in ecnn.stages for block in stage]
    assert drops == sorted(drops)
    assert drops[-1] == 0.9
    once, again = ecnn.eval()(faces)[-1], ecnn(faces)[-1]
    assert torch.equal(once, again)
    once, again = ecnn.train()(faces)[-1], ecnn(faces)[-1]
    assert not torch.equal(once, again)
