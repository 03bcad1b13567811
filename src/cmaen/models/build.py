"""A network by its architecture: the arguments that a card keeps, and the parts that fit each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from torch import nn

from cmaen.errors import ConfigError
from cmaen.models.attention import MultiScaleAttention
from cmaen.models.backbones import BACKBONES, Backbone, build_backbone
from cmaen.models.cmaen import CMAEN
from cmaen.models.ecnn import ECNN, Stem
from cmaen.models.fusion import AdditiveFusion, CrossModalFusion, FeaturePyramid
from cmaen.models.heads import AdaptiveEnsemble, AddingEnsemble, EmotionHeads, FusionClassifier
from cmaen.models.network import EmotionNetwork
from cmaen.models.residual import Exchange, JoinedPyramid, ResidualCMAEN, TrunkClassifier
from cmaen.types import EMOTIONS

Wiring = Literal["paper", "residual"]


class _Plan(NamedTuple):
    """The arguments of :func:`build_cmaen` that both wirings take; what is switched off is ``None`` or 0."""

    scales: tuple[int, ...] | None
    attention_heads: int
    bidirectional: bool
    fused_channels: int
    pyramid_channels: int
    emotion_heads: bool
    adaptive_ensemble: bool
    hidden: int
    dropout: float
    classes: int
    perceived: int


def build_cmaen(
    *,
    wiring: Wiring = "paper",
    backbone: str | None = "efficientnet_v2_s",
    backbone_weights: str | Path | None = None,
    ecnn: bool = True,
    ecnn_widths: tuple[int, int, int, int] = (64, 128, 256, 512),
    ecnn_stem: Stem = "paper",
    ecnn_stem_stride: int = 2,
    multi_scale_attention: bool = True,
    scales: tuple[int, ...] = (1, 2, 4),
    cross_modal_attention: bool = True,
    bidirectional: bool = False,
    fused_channels: int = 256,
    attention_heads: int = 8,
    feature_pyramid: bool = True,
    pyramid_channels: int = 128,
    emotion_heads: bool = True,
    adaptive_ensemble: bool = True,
    hidden: int = 256,
    dropout: float = 0.5,
    stochastic_depth: float = 0.0,
    classes: int = len(EMOTIONS),
    perceived: int = 0,
) -> EmotionNetwork:
    """A CMAEN by its architecture; the defaults are the paper's, and every switch of its ablation is an argument.

    Args:
        wiring: How the parts are joined: ``paper``, see :mod:`cmaen.models.cmaen`, or ``residual``, where the network
            begins as its backbone and every part adds to it, see :mod:`cmaen.models.residual`.
        backbone: A registered backbone, or ``None`` to switch that pathway off.
        backbone_weights: What the backbone starts from, see :func:`cmaen.models.backbones.build_backbone`.
        ecnn: Whether there is an E-CNN pathway.
        ecnn_widths, ecnn_stem, ecnn_stem_stride: See :class:`cmaen.models.ecnn.ECNN`.
        multi_scale_attention, scales: See :class:`cmaen.models.attention.MultiScaleAttention`.
        cross_modal_attention, bidirectional, attention_heads: See :class:`cmaen.models.fusion.CrossModalFusion`.
            Without it, and with a single pathway, the projected maps are added.
        fused_channels: D.
        feature_pyramid, pyramid_channels: See :class:`cmaen.models.fusion.FeaturePyramid`.
        emotion_heads: Whether there are emotion-specific heads; without them the fusion classifier alone answers.
        adaptive_ensemble: Whether the two classifiers are weighed face by face, or averaged.
        hidden: Width of the fusion classifier.
        dropout: Of the E-CNN's last map and of the classifiers' inputs.
        stochastic_depth: See :class:`cmaen.models.ecnn.ECNN`.
        classes: Of the answers; the label schemes in a card, not its architecture, tell how many.
        perceived: Labels of the second scheme, which gets a classifier of its own; 0 for one scheme alone.

    Raises:
        ConfigError: Both pathways are switched off, or the backbone is unknown.
    """
    if backbone is None and not ecnn:
        raise ConfigError("CMAEN needs at least one pathway: switch ecnn on or name a backbone")
    texture = None
    if ecnn:
        texture = ECNN(
            widths=ecnn_widths,
            stem=ecnn_stem,
            stem_stride=ecnn_stem_stride,
            dropout=dropout,
            stochastic_depth=stochastic_depth,
        )
    semantic = None if backbone is None else build_backbone(backbone, backbone_weights)
    plan = _Plan(
        scales=scales if multi_scale_attention else None,
        attention_heads=attention_heads if cross_modal_attention else 0,
        bidirectional=bidirectional,
        fused_channels=fused_channels,
        pyramid_channels=pyramid_channels if feature_pyramid else 0,
        emotion_heads=emotion_heads,
        adaptive_ensemble=adaptive_ensemble,
        hidden=hidden,
        dropout=dropout,
        classes=classes,
        perceived=perceived,
    )
    return (_paper if wiring == "paper" else _residual)(texture, semantic, plan)


def check_architecture(architecture: Mapping[str, Any]) -> None:
    """Refuse what :func:`build_cmaen` would fail on in its own way, or build without an end.

    Args:
        architecture: Of a card; what it leaves out is as it is by default.

    Raises:
        ConfigError: A key is unknown, or its value is none that can be built; the message names it.
    """
    for key, value in architecture.items():
        if key not in _ARCHITECTURE:
            raise ConfigError(f"{key!r} is no part of an architecture; there are {', '.join(_ARCHITECTURE)}")
        if not _ARCHITECTURE[key](value):
            raise ConfigError(f"{key} is {repr(value)[:80]}, which cannot be built")
    width, heads = architecture.get("fused_channels", 256), architecture.get("attention_heads", 8)
    if width % heads:
        raise ConfigError(f"fused_channels is {width}, which is no multiple of the {heads} attention_heads")


def _is_whole(value: object, low: int = 1, high: int = 16384) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


_ARCHITECTURE: dict[str, Callable[[Any], bool]] = {
    "wiring": get_args(Wiring).__contains__,
    "backbone": lambda value: value is None or (isinstance(value, str) and value in BACKBONES),
    "ecnn": _is_switch,
    "ecnn_widths": lambda value: isinstance(value, list | tuple) and len(value) == 4 and all(map(_is_whole, value)),
    "ecnn_stem": get_args(Stem).__contains__,
    "ecnn_stem_stride": lambda value: _is_whole(value, high=2),
    "multi_scale_attention": _is_switch,
    "scales": lambda value: (
        isinstance(value, list | tuple) and 0 < len(value) <= 16 and all(_is_whole(side, high=64) for side in value)
    ),
    "cross_modal_attention": _is_switch,
    "bidirectional": _is_switch,
    "fused_channels": _is_whole,
    "attention_heads": _is_whole,
    "feature_pyramid": _is_switch,
    "pyramid_channels": _is_whole,
    "emotion_heads": _is_switch,
    "adaptive_ensemble": _is_switch,
    "hidden": _is_whole,
    "dropout": _is_share,
    "stochastic_depth": _is_share,
}
"""What each key of an architecture may be; files are none of them."""


def _over_scales(pathway: ECNN | Backbone | None, scales: tuple[int, ...] | None) -> nn.Module:
    return (
        nn.Identity() if pathway is None or scales is None else MultiScaleAttention(pathway.channels[-1], scales=scales)
    )


def _paper(texture: ECNN | None, semantic: Backbone | None, plan: _Plan) -> CMAEN:
    e_channels = texture.channels[-1] if texture else None
    f_channels = semantic.channels[-1] if semantic else None
    fusion: CrossModalFusion | AdditiveFusion
    if plan.attention_heads and e_channels and f_channels:
        fusion = CrossModalFusion(
            e_channels,
            f_channels,
            dim=plan.fused_channels,
            heads=plan.attention_heads,
            bidirectional=plan.bidirectional,
        )
    else:
        fusion = AdditiveFusion(e_channels, f_channels, dim=plan.fused_channels)
    pyramid = None
    if plan.pyramid_channels:
        level_channels = texture.channels[1:] if texture else semantic.channels if semantic else ()
        pyramid = FeaturePyramid(level_channels, plan.fused_channels, dim=plan.pyramid_channels)
    features = plan.fused_channels + (f_channels or 0) + 4 * plan.pyramid_channels
    emotions = plan.classes
    return CMAEN(
        ecnn=texture,
        backbone=semantic,
        ecnn_attention=_over_scales(texture, plan.scales),
        backbone_attention=_over_scales(semantic, plan.scales),
        fusion=fusion,
        pyramid=pyramid,
        emotion_heads=EmotionHeads(plan.fused_channels, emotions=emotions, dropout=plan.dropout)
        if plan.emotion_heads
        else None,
        fusion_classifier=FusionClassifier(features, hidden=plan.hidden, emotions=emotions, dropout=plan.dropout),
        ensemble=AdaptiveEnsemble(features) if plan.emotion_heads and plan.adaptive_ensemble else None,
        perceived_classifier=_perceived(features, plan),
    )


def _residual(texture: ECNN | None, semantic: Backbone | None, plan: _Plan) -> ResidualCMAEN:
    """What nothing reads is not made: the exchange without emotion heads and without a second pathway, for one."""
    pathways = [pathway.channels[-3:] for pathway in (semantic, texture) if pathway is not None]
    trunk = pathways[0]
    side: tuple[int, ...] = pathways[1] if len(pathways) == 2 else ()
    exchange = None
    if plan.emotion_heads or side:
        exchange = Exchange(
            trunk[-2] if semantic else trunk[-1],
            side[-1] if side else None,
            dim=plan.fused_channels,
            heads=plan.attention_heads,
            bidirectional=plan.bidirectional,
        )
    pyramid = JoinedPyramid(trunk, side, dim=plan.pyramid_channels) if plan.pyramid_channels else None
    sources = [
        trunk[-1],
        *([plan.fused_channels] if exchange else []),
        *([plan.pyramid_channels] * len(trunk) if pyramid else []),
    ]
    emotions = plan.classes
    heads = EmotionHeads(plan.fused_channels, emotions=emotions, dropout=plan.dropout) if plan.emotion_heads else None
    fusion = None
    if side or pyramid is not None:
        fusion = FusionClassifier(sources, hidden=plan.hidden, emotions=emotions, dropout=plan.dropout)
    members = sum(part is not None for part in (heads, fusion))
    return ResidualCMAEN(
        ecnn=texture,
        backbone=semantic,
        ecnn_attention=_over_scales(texture, plan.scales),
        exchange=exchange,
        pyramid=pyramid,
        trunk_classifier=TrunkClassifier(trunk[-1], emotions=emotions, dropout=plan.dropout),
        emotion_heads=heads,
        fusion_classifier=fusion,
        ensemble=AddingEnsemble(sum(sources), members=members, adaptive=plan.adaptive_ensemble, emotions=emotions)
        if members
        else None,
        perceived_classifier=_perceived(sources, plan),
    )


def _perceived(features: int | list[int], plan: _Plan) -> FusionClassifier | None:
    if not plan.perceived:
        return None
    return FusionClassifier(features, hidden=plan.hidden, emotions=plan.perceived, dropout=plan.dropout)
