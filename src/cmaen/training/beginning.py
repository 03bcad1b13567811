"""The network that a run begins with: random, or with the weights of a backbone or of a checkpoint."""

from __future__ import annotations

import logging

import numpy as np
import torch

from cmaen.config import Config
from cmaen.data.splits import FaceSet
from cmaen.errors import ConfigError
from cmaen.models.backbones import StagedBackbone, adapt_statistics
from cmaen.models.build import build_cmaen
from cmaen.models.checkpoint import load_checkpoint
from cmaen.models.network import EmotionNetwork
from cmaen.preprocessing import PreprocessSpec
from cmaen.training.batches import FaceBatches, Picks
from cmaen.types import PERCEIVED_LABELS

_REGULARISATION = {"dropout", "stochastic_depth"}
_OF_ECNN = {"ecnn", "ecnn_widths", "ecnn_stem", "ecnn_stem_stride", "multi_scale_attention", "scales"}
_ADAPTATION_IMAGES = 1024

log = logging.getLogger(__name__)


def initial_model(config: Config, training: FaceSet, spec: PreprocessSpec, *, resume: bool) -> EmotionNetwork:
    """The network that a run begins with.

    Args:
        config: Of the run.
        training: Its faces.
        spec: How they become the network's input.
        resume: All weights come later, from the run that is resumed.

    Raises:
        CheckpointError: Weights are missing or damaged, or cannot be fetched.
        ConfigError: They are of another architecture.
    """
    weights = None if resume or config.initial_weights is not None else config.backbone_weights
    model = build_cmaen(
        **config.model.model_dump(),
        backbone_weights=weights,
        classes=len(training.classes),
        perceived=len(PERCEIVED_LABELS) if config.loss.perceived else 0,
    )
    if resume:
        return model
    if config.initial_weights is not None:
        _begin_with(model, config, training.classes)
    elif weights and model.backbone is not None:
        _adapt(model, training, spec, config.seed)
    elif model.backbone is not None:
        log.warning(
            "the backbone %s begins from nothing: --backbone-weights names pretrained ones", config.model.backbone
        )
    return model


def _begin_with(model: EmotionNetwork, config: Config, classes: tuple[str, ...]) -> None:
    """Give a network the weights of a checkpoint: all, those of its pathways, or for other labels the body's."""
    assert config.initial_weights is not None
    given, card = load_checkpoint(config.initial_weights)
    differing = set(card.differing(config.model.model_dump(mode="json"))) - _REGULARISATION
    if config.initial_parts == "pathways":
        differing &= {"backbone"} | (_OF_ECNN if config.model.ecnn else set())
    if differing:
        raise ConfigError(
            f"{config.initial_weights} is of another architecture; these keys differ: {sorted(differing)}"
        )
    if config.initial_parts == "pathways":
        pathways = [*(["backbone"] if model.backbone else []), *(["ecnn", "ecnn_attention"] if model.ecnn else [])]
        for part in pathways:
            getattr(model, part).load_state_dict(getattr(given, part).state_dict())
        return
    taken = given.state_dict()
    if card.labels != classes:
        log.info(
            "labels %s in place of %s: the classifiers are trained from scratch",
            ", ".join(classes),
            ", ".join(card.labels),
        )
        wider = build_cmaen(**config.model.model_dump(), classes=len(card.labels) + 1).state_dict()
        taken = {name: value for name, value in taken.items() if name in wider and wider[name].shape == value.shape}
    own = model.state_dict()
    model.load_state_dict(own | {name: value for name, value in taken.items() if name in own})


def _adapt(model: EmotionNetwork, training: FaceSet, spec: PreprocessSpec, seed: int) -> None:
    assert model.backbone is not None
    some = np.random.default_rng(seed).permutation(len(training))[:_ADAPTATION_IMAGES]
    batch = FaceBatches(training, spec)[Picks(torch.from_numpy(some), seed)]
    adapt_statistics(model.backbone.eval(), batch.images)
    model.backbone.train()


def freeze(model: EmotionNetwork, stages: int) -> None:
    """Let so many of the backbone's first stages learn no more.

    Raises:
        ConfigError: It has no stages, or fewer.
    """
    if not stages:
        return
    if not isinstance(model.backbone, StagedBackbone):
        raise ConfigError("training.frozen_stages: the network has no backbone of stages that could be frozen")
    if stages > (there := len(model.backbone.stages)):
        raise ConfigError(f"training.frozen_stages is {stages}; the backbone has {there} stages")
    model.backbone.freeze(stages)
