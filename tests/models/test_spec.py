from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from pydantic import ValidationError  # noqa: E402

from cmaen.errors import ConfigError  # noqa: E402
from cmaen.models.base import EmotionNetwork  # noqa: E402
from cmaen.models.build import build_network, check_buildable  # noqa: E402
from cmaen.models.spec import ModelSpec  # noqa: E402
from tests.conftest import TINY  # noqa: E402

SWITCHES: dict[str, tuple[Any, ...]] = {
    "wiring": ("paper", "residual"),
    "pathways": (
        ("mobilenet_v1", "ecnn"),
        ("mobilenet_v1", None),
        ("ecnn", None),
        ("mobilenet_v1", "sface"),
        ("ecnn", "sface"),
    ),
    "attention": ("none", "one_way", "both_ways"),
    "scales": (None, (1, 3)),
    "pyramid_channels": (None, 8),
    "emotion_heads": (True, False),
    "adaptive_ensemble": (True, False),
    "ecnn_stem": ("paper", "small"),
}


def combine() -> list[ModelSpec]:
    """List every network that the switches produce."""
    specs = []
    for values in itertools.product(*SWITCHES.values()):
        chosen = dict(zip(SWITCHES, values, strict=True))
        trunk, side = chosen.pop("pathways")
        try:
            specs.append(ModelSpec(**TINY | chosen | {"trunk": trunk, "side": side, "hidden": 24}))
        except ValidationError:
            assert chosen["wiring"] == "paper"
            assert "sface" in (trunk, side)
    return specs


def shapes(network: EmotionNetwork) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


def test_a_card_makes_the_same_network_whatever_its_switches() -> None:
    specs = combine()
    assert len(specs) > 500
    described = {json.dumps(spec.describe()) for spec in specs}
    for text in described:
        again = ModelSpec.from_card(json.loads(text))
        assert json.dumps(again.describe()) == text
    for spec in specs[::61]:
        again = ModelSpec.from_card(json.loads(json.dumps(spec.describe())))
        with torch.device("meta"):
            first, second = build_network(spec), build_network(again)
        assert shapes(first) == shapes(second)
        assert str(first) == str(second)  # with parts without weights, such as the scales
        assert not spec.list_differences(again)


def test_networks_of_the_same_description_are_the_same_ones() -> None:
    found: dict[str, str] = {}
    for spec in combine()[::29]:
        text = json.dumps(spec.describe())
        with torch.device("meta"):
            built = str(build_network(spec))
        assert found.setdefault(text, built) == built


def test_a_card_says_what_a_network_has_and_nothing_else() -> None:
    alone = ModelSpec(trunk="mobilenet_v1", side=None).describe()
    assert not {"ecnn_widths", "ecnn_stem", "scales", "attention", "attention_heads"} & set(alone)
    assert alone["side"] is None
    bare = ModelSpec(trunk="sface", side=None, emotion_heads=False, pyramid_channels=None).describe()
    assert not {"fused_channels", "adaptive_ensemble"} & set(bare)
    added = ModelSpec(attention="none").describe()
    assert added["attention"] == "none"
    assert "attention_heads" not in added
    assert "ecnn_stem_stride" not in added
    assert ModelSpec(scales=None).describe()["scales"] is None


OLD_KEYS = ["backbone", "ecnn", "multi_scale_attention", "cross_modal_attention", "bidirectional", "feature_pyramid"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["ecnn", "timm/", "timm/x"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*ModelSpec.model_fields, *OLD_KEYS, "stochastic_depth"]) | st.text(), VALUES),
    st.booleans(),
)
def test_whatever_a_card_says_is_a_network_or_a_named_error(changes: dict[str, Any], old: bool) -> None:
    base = {} if old else ModelSpec(**TINY).describe()
    try:
        spec = ModelSpec.from_card(base | changes)
    except ConfigError:
        return
    assert ModelSpec.from_card(spec.describe()).describe() == spec.describe()


def test_a_spec_is_a_value() -> None:
    assert ModelSpec() == ModelSpec()
    assert hash(ModelSpec()) == hash(ModelSpec())
    with pytest.raises(ValidationError):
        ModelSpec().hidden = 8
    assert ModelSpec().list_differences(ModelSpec(hidden=8, scales=None)) == ["hidden", "scales"]


@pytest.mark.parametrize("side", ["mobilenet_v1", "sface", "timm/test_convnext", "ecnn"])
def test_any_two_pathways_attend_to_each_other(side: str) -> None:
    torch.manual_seed(0)
    spec = ModelSpec(**TINY | {"wiring": "residual", "side": side, "attention": "both_ways"})
    network = build_network(spec).eval()
    assert network.pretrained == (("trunk",) if side == "ecnn" else ("trunk", "side"))
    features = network.forward_features(torch.randn(2, 3, 128, 128), return_attention=True)
    assert features.attention is not None
    assert features.back is not None
    assert features.attention.shape[-1] == features.back.shape[-2]


def test_what_is_checked_without_memory_is_what_is_built() -> None:
    spec = ModelSpec(**TINY)
    drawn = check_buildable(spec, 64)
    assert {value.device.type for value in drawn.parameters()} == {"meta"}
    assert shapes(drawn) == shapes(build_network(spec))
    with pytest.raises(ConfigError, match=r"cannot take images of 64 x 64 pixels; change preprocess\.image_size"):
        check_buildable(ModelSpec(trunk="timm/swin_tiny_patch4_window7_224", side=None), 64)
    with pytest.raises(ConfigError, match="no side"):
        build_network(ModelSpec(side=None), side_weights="weights.pt")
