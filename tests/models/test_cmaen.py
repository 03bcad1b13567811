from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from cmaen.errors import ConfigError  # noqa: E402
from cmaen.models.build import build_cmaen
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


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_every_switch_gives_a_network_whose_every_weight_learns(switch: dict[str, object]) -> None:
    model = build_cmaen(**{**TINY, **switch})
    for module in model.modules():
        if hasattr(module, "gamma"):
            torch.nn.init.ones_(module.gamma)  # at 0 nothing behind it learns in the first step
    output = model(images())
    assert output.logits.shape == output.fusion_logits.shape == (2, 7)
    (output.logits.square().sum() + output.fusion_logits.square().sum()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None]
    assert not still


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
