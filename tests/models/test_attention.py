from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from cmaen.models.paper import AdditiveFusion, CrossModalAttention, CrossModalFusion, FeaturePyramid  # noqa: E402
from cmaen.models.parts.attention import EmotionAttention, MultiScaleAttention  # noqa: E402


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_multi_scale_attention_keeps_the_shape_of_any_map(size: int) -> None:
    attention = MultiScaleAttention(16)
    x = torch.randn(2, 16, size, size)
    out = attention(x)
    assert out.shape == x.shape
    assert (out.abs() <= x.abs() + 1e-6).all()  # every weight lies in (0, 1)


def test_multi_scale_attention_is_the_mean_of_its_scales() -> None:
    attention = MultiScaleAttention(16, scales=(1, 4))
    x = torch.randn(2, 16, 4, 4)
    single = []
    for scale, gate in zip((1, 4), attention.gates, strict=True):
        one = MultiScaleAttention(16, scales=(scale,))
        one.gates[0].load_state_dict(gate.state_dict())
        single.append(one(x))
    assert torch.allclose(attention(x), (single[0] + single[1]) / 2, atol=1e-6)


def test_emotion_attention_pools_what_the_attended_maps_hold() -> None:
    attention = EmotionAttention(12, emotions=7)
    x = torch.randn(3, 12, 5, 4)
    weights = attention(x)
    assert weights.channel.shape == (3, 7, 12)
    assert weights.spatial.shape == (3, 7, 5, 4)
    attended = x[:, None] * weights.channel[..., None, None] * weights.spatial[:, :, None]  # [B, E, C, H, W]
    assert torch.allclose(attention.pool(x, weights), attended.mean(dim=(3, 4)), atol=1e-6)


def test_emotion_attention_equals_a_loop_over_the_emotions() -> None:
    attention = EmotionAttention(8, emotions=7)
    x = torch.randn(2, 8, 4, 4)
    weights = attention(x)
    for e in range(7):
        logits = [torch.relu(p @ attention.squeeze[e]) @ attention.excite[e] for p in (x.mean((2, 3)), x.amax((2, 3)))]
        channel = torch.sigmoid(logits[0] + logits[1])
        seen = x * channel[..., None, None]
        summary = torch.stack([seen.mean(1), seen.amax(1)], dim=1)
        kernel, bias = attention.spatial.weight[e : e + 1], attention.spatial.bias[e : e + 1]
        spatial = torch.sigmoid(torch.conv2d(summary, kernel, bias, padding=3))[:, 0]
        assert torch.allclose(weights.channel[:, e], channel, atol=1e-6)
        assert torch.allclose(weights.spatial[:, e], spatial, atol=1e-6)


def test_cross_modal_attention_starts_as_the_projection_and_follows_the_formula() -> None:
    attention = CrossModalAttention(6, 10, dim=8, heads=2)
    e, f = torch.randn(2, 6, 4, 4), torch.randn(2, 10, 3, 3)
    assert torch.equal(attention(e, f).fused, attention.proj(e))  # gamma is 0
    torch.nn.init.constant_(attention.gamma, 0.7)
    q, k, v = attention.query(e), attention.key(f), attention.value(f)
    expected = attention.proj(e).clone()
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        tokens = [t[:, part].flatten(2).transpose(1, 2) for t in (q, k, v)]  # [B, N, d]
        weights = torch.softmax(tokens[0] @ tokens[1].transpose(1, 2) / math.sqrt(4), dim=-1)
        expected[:, part] += 0.7 * (weights @ tokens[2]).transpose(1, 2).reshape(2, 4, 4, 4)
    assert torch.allclose(attention(e, f).fused, expected, atol=1e-5)


def test_asking_for_the_maps_changes_nothing_and_they_sum_to_one() -> None:
    attention = CrossModalAttention(6, 10, dim=8, heads=2)
    torch.nn.init.ones_(attention.gamma)
    e, f = torch.randn(2, 6, 4, 4), torch.randn(2, 10, 3, 3)
    silent, spoken = attention(e, f), attention(e, f, return_attention=True)
    assert silent.attention is None
    assert spoken.attention.shape == (2, 2, 16, 9)
    assert torch.allclose(spoken.attention.sum(-1), torch.ones(2, 2, 16), atol=1e-5)
    assert torch.allclose(silent.fused, spoken.fused, atol=1e-5)


def test_bidirectional_fusion_asks_both_ways() -> None:
    fusion = CrossModalFusion(6, 10, dim=8, heads=2, both_ways=True)
    e, f = torch.randn(2, 6, 4, 4, requires_grad=True), torch.randn(2, 10, 3, 3, requires_grad=True)
    fused = fusion(e, f).fused
    assert fused.shape == (2, 8, 4, 4)
    fused.sum().backward()
    assert f.grad.abs().sum() > 0  # also while gamma is 0, through the projection of the other direction


@pytest.mark.parametrize("kind", ["one way", "both ways", "added", "one pathway"])
def test_a_folded_norm_changes_no_answer(kind: str) -> None:
    torch.manual_seed(0)
    fusion = {
        "one way": CrossModalFusion(8, 12, dim=16, heads=2, both_ways=False),
        "both ways": CrossModalFusion(8, 12, dim=16, heads=2, both_ways=True),
        "added": AdditiveFusion(12, 8, dim=16),
        "one pathway": AdditiveFusion(12, None, dim=16),
    }[kind]
    for value in (*fusion.parameters(), *fusion.buffers()):
        if value.is_floating_point():
            value.data.uniform_(0.5, 1.5)
    e, f = None if kind == "one pathway" else torch.randn(2, 8, 6, 6), torch.randn(2, 12, 3, 3)
    fusion.eval()
    before = fusion(e, f).fused
    fusion.fold_norm()
    assert before.std() > 0.1
    assert torch.allclose(fusion(e, f).fused, before, atol=1e-5)


def test_every_level_of_the_pyramid_hears_of_the_top() -> None:
    pyramid = FeaturePyramid((4, 8, 16), 12, width=6).eval()
    levels = tuple(torch.randn(2, c, s, s) for c, s in ((4, 16), (8, 8), (16, 4)))
    fused = torch.randn(2, 12, 4, 4, requires_grad=True)
    maps = pyramid(levels, fused)
    assert [tuple(x.shape) for x in maps] == [(2, 6, 4, 4), (2, 6, 4, 4), (2, 6, 8, 8), (2, 6, 16, 16)]
    for x in maps:
        (gradient,) = torch.autograd.grad(x.sum(), fused, retain_graph=True)
        assert gradient.abs().sum() > 0
