from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")


from cmaen.models.build import build_network  # noqa: E402
from cmaen.models.paper import CMAEN, CrossModalAttention  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from tests.conftest import TINY  # noqa: E402

PAPER = TINY | {"trunk": "mobilenet_v1"}
SWITCHES = [
    {},
    {"attention": "none"},
    {"emotion_heads": False},
    {"scales": None},
    {"pyramid_channels": None},
    {"adaptive_ensemble": False},
    {"side": None},
    {"trunk": "ecnn", "side": None},
    {"attention": "both_ways"},
    {"ecnn_stem": "paper"},
    {"ecnn_stem_stride": 1},
]


def build(**changes: object) -> CMAEN:
    built = build_network(ModelSpec(**PAPER | changes))
    assert isinstance(built, CMAEN)
    return built


def images(count: int = 2, side: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def gradients(model: CMAEN, side: int = 64) -> dict[str, float]:
    """Compute the largest gradient of each weight, after a backward pass from all logits of two faces."""
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
    """Exceptions are biases that cancel: those of the keys in the softmax, and of what the fusion's norm centres."""
    torch.manual_seed(0)
    model = build(**switch)
    for attention in attentions(model):
        torch.nn.init.ones_(attention.gamma)  # at 0, nothing before it learns in the first step
    cancels = re.compile(r"fusion\..*(key|value|proj)\.bias")
    still = {name: size for name, size in gradients(model, side=128).items() if size < 1e-5}  # x4 8 x 8, f 4 x 4
    assert all(cancels.fullmatch(name) for name in still), still
    assert any(name.endswith("proj.bias") for name in still)  # shows that 1e-5 is not too low


@pytest.mark.parametrize("attention", ["one_way", "both_ways"])
def test_at_its_start_gamma_learns_and_then_what_is_behind_it(attention: str) -> None:
    torch.manual_seed(0)
    model = build(attention=attention)
    first = gradients(model)
    for part in attentions(model):
        torch.nn.init.constant_(part.gamma, 1e-2)  # one step later
    second = gradients(model)
    for way in ("forth", "back") if attention == "both_ways" else ("forth",):
        asked = {f"fusion.{way}.{part}.weight" for part in ("query", "key", "value")}
        assert all(first[name] == 0 for name in asked)
        assert all(second[name] > 1e-6 for name in asked)
        assert first[f"fusion.{way}.gamma"] > 1e-5
        assert first[f"fusion.{way}.proj.weight"] > 1e-5
    assert all(size > 1e-5 for name, size in first.items() if name.startswith("trunk.stages.0"))


@pytest.mark.parametrize("switch", SWITCHES[1:], ids=str)
def test_every_switch_changes_the_network(switch: dict[str, object]) -> None:
    """Either its weights differ, or it computes something else from the same ones."""

    def seeded(**changes: object) -> CMAEN:
        torch.manual_seed(0)
        return build(**changes).eval()

    def shapes(model: CMAEN) -> dict[str, tuple[int, ...]]:
        return {name: tuple(p.shape) for name, p in model.named_parameters()}

    plain, switched = seeded(), seeded(**switch)
    assert torch.equal(plain(images()).logits, seeded()(images()).logits)
    if shapes(plain) == shapes(switched):
        assert not torch.equal(plain(images()).logits, switched(images()).logits)


def test_the_ensemble_weighs_the_two_classifiers_face_by_face() -> None:
    model = build().eval()
    output = model(images(5) * torch.arange(1, 6).view(-1, 1, 1, 1))
    weights = model.ensemble(output.features)
    assert torch.allclose(weights.sum(dim=1), torch.ones(5))
    assert weights.std(dim=0).min() > 0
    expected = weights[:, :1] * output.emotion_logits + weights[:, 1:] * output.fusion_logits
    assert torch.allclose(output.logits, expected)


def test_without_the_ensemble_the_classifiers_are_averaged() -> None:
    output = build(adaptive_ensemble=False).eval()(images())
    assert torch.allclose(output.logits, (output.emotion_logits + output.fusion_logits) / 2)


def test_without_heads_the_fusion_classifier_answers() -> None:
    output = build(emotion_heads=False).eval()(images())
    assert torch.equal(output.logits, output.fusion_logits)
    assert output.emotion_logits is None
    assert build(emotion_heads=False).ensemble is None


def test_the_cross_modal_maps_come_when_they_are_asked_for() -> None:
    model = build().eval()
    assert model.forward_features(images()).attention is None
    attention = model.forward_features(images(), return_attention=True).attention
    assert attention.shape == (2, 2, 16, 4)  # x4 is 4 x 4, the backbone's map 2 x 2
    assert torch.allclose(attention.sum(dim=-1), torch.ones(2, 2, 16), atol=1e-5)


def test_a_face_is_judged_alone() -> None:
    """In evaluation, the other faces of a batch do not matter."""
    model = build().eval()
    batch = images(4)
    assert torch.allclose(model(batch).logits[2], model(batch[2:3]).logits[0], atol=1e-5)


def test_the_papers_network_takes_the_papers_size() -> None:
    model = build_network(ModelSpec(wiring="paper")).eval()
    with torch.inference_mode():
        levels = model.side(torch.zeros(1, 3, 224, 224))
        features = model.forward_features(torch.zeros(1, 3, 224, 224))
    assert [level.shape[1:] for level in levels] == [(128, 28, 28), (256, 14, 14), (512, 7, 7)]
    assert model.trunk.channels[-1] == 1280
    assert features.fused.shape == (1, 256, 7, 7)


def test_eight_faces_are_learnt_by_heart() -> None:
    torch.manual_seed(0)
    model = build(trunk=TINY["trunk"])
    batch, labels = images(8), torch.arange(8) % 7
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(batch).logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model(batch).logits.argmax(dim=1) == labels).all()
