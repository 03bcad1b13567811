"""The architecture of a network: the only place that defines its keys, defaults and ranges.

The configuration contains a :class:`ModelSpec`, a card stores it, and :func:`cmaen.models.build.build_network` reads
it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from cmaen.errors import ConfigError
from cmaen.models.backbones import require_backbone
from cmaen.models.parts.ecnn import ECNN_NAME, Stem
from cmaen.spec import Spec, list_mistakes, require_none

_WIDEST = 16384
Width = Annotated[int, Field(ge=1, le=_WIDEST)]
Scale = Annotated[int, Field(ge=1, le=64)]

_SWITCHES = ("ecnn", "multi_scale_attention", "cross_modal_attention", "bidirectional", "feature_pyramid")
"""Keys of older cards that were true or false."""
_OLD = {*_SWITCHES, "backbone", "stochastic_depth"}


class ModelSpec(Spec):
    """The architecture of a network.

    A pathway is ``ecnn``, which is trained from scratch, or a backbone for which pretrained weights exist:
    ``mobilenet_v1``, ``mobilenet_v1_slim``, ``sface``, ``efficientnet_v2_s``, ``timm/NAME`` for a network of timm, or a
    plug-in by its name, see :mod:`cmaen.plugins`.
    """

    wiring: Literal["paper", "residual"] = Field(
        "residual",
        description="How the parts are joined. residual: the network starts as its trunk, and every other part adds to "
        "its output. paper: as in the paper.",
    )
    trunk: str = Field(
        "efficientnet_v2_s",
        description="First pathway: efficientnet_v2_s, mobilenet_v1, mobilenet_v1_slim, sface, timm/NAME or ecnn.",
    )
    side: str | None = Field(
        "ecnn", description="Second pathway, named like the first, or null for none. In the paper's wiring: ecnn."
    )
    side_size: Annotated[int, Field(ge=32, le=1024, multiple_of=16)] | None = Field(
        None,
        description="Side in pixels to which the image is reduced for the second pathway; null for all of it.",
    )
    ecnn_widths: tuple[Width, Width, Width, Width] = Field(
        (64, 128, 256, 512), description="Channels of the E-CNN's four stages."
    )
    ecnn_stem: Stem = Field(
        "paper", description="The E-CNN's stem. paper: 7x7 and a pool. small: 3x3, for inputs below 112 pixels."
    )
    ecnn_stem_stride: Literal[1, 2] = Field(2, description="Stride of the small stem.")
    scales: tuple[Scale, ...] | None = Field(
        (1, 2, 4),
        min_length=1,
        max_length=16,
        description="Pooling factors of the multi-scale attention on the last map of the E-CNN and, in the paper's "
        "wiring, of both pathways; null for no such attention.",
    )
    attention: Literal["none", "one_way", "both_ways"] = Field(
        "one_way", description="Attention between the pathways; none adds their maps."
    )
    attention_heads: Width = Field(8, description="Number of heads of the attention between the pathways.")
    fused_channels: Width = Field(256, description="Channels of the fused map, a multiple of attention_heads.")
    pyramid_channels: Width | None = Field(
        128, description="Channels of each level of the feature pyramid; null for no pyramid."
    )
    emotion_heads: bool = Field(True, description="Add an attention head for each emotion to the other classifiers.")
    adaptive_ensemble: bool = Field(True, description="Weight the classifiers for each face, not equally for all.")
    hidden: Width = Field(256, description="Width of the fusion classifier.")
    dropout: float = Field(
        0.5, ge=0, lt=1, description="Dropout of the E-CNN's last map and of the classifiers' inputs."
    )

    @field_validator("trunk", "side")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        if name not in (None, ECNN_NAME):
            try:
                require_backbone(name)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return name

    @field_validator("side")
    @classmethod
    def _can_be_joined(cls, side: str | None, info: ValidationInfo) -> str | None:
        wiring, trunk = info.data.get("wiring"), info.data.get("trunk", "")
        if wiring == "paper" and side is not None and (trunk == ECNN_NAME or side != ECNN_NAME):
            raise ValueError(
                f"the paper's wiring joins a backbone with the E-CNN: it cannot join trunk {trunk} with side {side}; "
                "set trunk to a backbone and side to ecnn or null, or wiring to residual"
            )
        return side

    @field_validator("fused_channels")
    @classmethod
    def _can_attend(cls, channels: int, info: ValidationInfo) -> int:
        if {"wiring", "side", "ecnn_widths", "attention", "attention_heads"} <= info.data.keys():
            require_none(_find_misfits(channels, info.data))
        return channels

    def describe(self) -> dict[str, Any]:
        """Return the values to store on a card: the keys of the parts that the network has, as plain JSON values.

        :meth:`from_card` restores the same network.
        """
        pathways = {self.trunk, self.side}
        paper = self.wiring == "paper"
        joined = self.side is not None
        applies = {
            "ecnn_widths": ECNN_NAME in pathways,
            "ecnn_stem": ECNN_NAME in pathways,
            "ecnn_stem_stride": ECNN_NAME in pathways and self.ecnn_stem == "small",
            "side_size": joined,
            "scales": paper or ECNN_NAME in pathways,
            "attention": joined,
            "attention_heads": joined and self.attention != "none",
            "fused_channels": paper or joined or self.emotion_heads,
            "adaptive_ensemble": self.emotion_heads or (not paper and (joined or self.pyramid_channels is not None)),
        }
        return {key: value for key, value in self.model_dump(mode="json").items() if applies.get(key, True)}

    def list_differences(self, other: ModelSpec) -> list[str]:
        """List the keys in which the architecture of another network differs, in alphabetical order."""
        own, others = self.describe(), other.describe()
        return sorted(key for key in own.keys() | others.keys() if own.get(key) != others.get(key))

    @classmethod
    def from_card(cls, architecture: Mapping[str, Any]) -> ModelSpec:
        """Read the architecture on a card, which may come from anybody and be older than this class.

        Raises:
            ConfigError: A key is unknown, or its value cannot be built; the message names all of them.
        """
        try:
            values = dict(architecture) if "trunk" in architecture else _translate(architecture)
            return cls.model_validate_json(json.dumps(values), strict=True)
        except ValidationError as error:
            lines = "\n".join(f"  {line}" for line in list_mistakes(error))
            raise ConfigError(f"the architecture cannot be built:\n{lines}") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(f"the architecture cannot be built: {error}") from error


def _find_misfits(fused_channels: int, spec: Mapping[str, Any]) -> Iterator[str]:
    side, attention, heads = spec["side"], spec["attention"], spec["attention_heads"]
    if side is None or attention == "none":
        return
    if fused_channels % heads:
        yield f"it is {fused_channels}, which is not a multiple of the {heads} attention_heads"
    if spec["wiring"] == "residual":
        if fused_channels % 4:
            yield f"it is {fused_channels}; attention in the residual wiring requires a multiple of 4"
        if attention == "both_ways" and side == ECNN_NAME:
            yield from find_misfits(spec["ecnn_widths"][-1], heads, "the last of ecnn_widths")


def find_misfits(channels: int, heads: int, name: str) -> Iterator[str]:
    """Find why the side cannot attend to the trunk, where the result has as many channels as the side's last map."""
    if channels % heads or channels % 4:
        yield (
            f"{name} is {channels}; with attention both ways it must be a multiple of 4 and of the {heads} "
            "attention_heads: change attention_heads, or set attention to one_way"
        )


def _translate(old: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the keys of older cards, whose pathways were ``backbone`` and ``ecnn``."""
    switches = {key: old.get(key, key != "bidirectional") for key in _SWITCHES}
    if wrong := [key for key, value in switches.items() if not isinstance(value, bool)]:
        raise ValueError(f"{wrong[0]} is {str(switches[wrong[0]])[:80]!r} and must be true or false")
    values = {"wiring": "paper"} | {key: value for key, value in old.items() if key not in _OLD}
    backbone = old.get("backbone", "efficientnet_v2_s")
    pathways = [*([] if backbone is None else [backbone]), *([ECNN_NAME] if switches["ecnn"] else [])]
    if not pathways:
        raise ValueError("at least one pathway is needed: backbone is null and ecnn is false")
    values |= {"trunk": pathways[0], "side": pathways[1] if len(pathways) > 1 else None}
    if not switches["multi_scale_attention"]:
        values["scales"] = None
    if not switches["feature_pyramid"]:
        values["pyramid_channels"] = None
    ways = "both_ways" if switches["bidirectional"] else "one_way"
    values["attention"] = ways if switches["cross_modal_attention"] else "none"
    return values
