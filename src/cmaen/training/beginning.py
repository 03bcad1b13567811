"""The network that a run begins with: random, or with the weights of its pathways, or those of a whole checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from cmaen.checkpoints import Checkpoint
from cmaen.data.splits import FaceSet
from cmaen.errors import ConfigError
from cmaen.models.backbones import StagedBackbone, adapt_statistics
from cmaen.models.backbones.sface import INSTALLED
from cmaen.models.backbones.timm import PRETRAINED
from cmaen.models.base import EmotionNetwork
from cmaen.models.build import build_network
from cmaen.models.checkpoint import load_checkpoint, take_pathway
from cmaen.models.spec import ModelSpec
from cmaen.training.batches import FaceBatches, Picks
from cmaen.training.config import Config
from cmaen.types import PERCEIVED_LABELS

_REGULARISATION = {"dropout"}
_ADAPTATION_IMAGES = 1024

log = logging.getLogger(__name__)


def build_initial(config: Config, training: FaceSet, *, resume: bool) -> EmotionNetwork:
    """Build the network that a run begins with.

    Args:
        config: Of the run.
        training: Its faces.
        resume: All weights come later, from the run that is resumed.

    Raises:
        CheckpointError: Weights are missing or damaged, or cannot be fetched.
        ConfigError: They are of another architecture.
    """
    weights = {} if resume else config.pathway_weights
    folders = {role: Path(given) for role, given in weights.items() if Path(given).is_dir()}
    foreign = {role: given for role, given in weights.items() if role not in folders}
    model = build_network(
        config.model,
        classes=len(training.classes),
        perceived=len(PERCEIVED_LABELS) if config.loss.perceived else 0,
        trunk_weights=foreign.get("trunk"),
        side_weights=foreign.get("side"),
    )
    if resume:
        return model
    if config.initial_weights is not None:
        _begin_with(model, config, training.classes)
        return model
    for role, folder in folders.items():
        take_pathway(model, role, getattr(config.model, role), folder)
    for role in model.pretrained:
        if role in foreign:
            _adapt(model, role, training, config)
        elif role not in folders:
            name = getattr(config.model, role)
            log.warning("the %s %s begins from nothing: --%s-weights names pretrained ones", role, name, role)
    return model


def describe_beginning(config: Config) -> str | None:
    """Say what the weights come from, as far back as the cards tell; ``None`` where all are random."""
    if config.initial_weights is not None:
        return _describe(config.initial_weights)
    return "; ".join(_describe_weights(config)) or None


def find_licence(config: Config) -> str:
    """The licence of the weights: what the configuration says, or what those have that the run begins with."""
    folders = [Path(given) for given in config.pathway_weights.values() if Path(given).is_dir()]
    if config.initial_weights is not None:
        folders = [config.initial_weights]
    licences = (Checkpoint.open(folder).card.licence for folder in folders)
    return config.licence or "; ".join(dict.fromkeys(filter(None, licences)))


def _describe_weights(config: Config) -> Iterator[str]:
    for role, given in config.pathway_weights.items():
        name = getattr(config.model, role)
        if Path(given).is_dir():
            yield f"the {role} of {_describe(Path(given))}"
        elif given == INSTALLED:
            yield f"the weights of {name} that are installed with this package"
        elif given == PRETRAINED:
            yield f"the pretrained weights of {name}"
        else:
            yield Path(given).name


def _describe(checkpoint: Path) -> str:
    opened = Checkpoint.open(checkpoint)
    return f"{opened.describe()}, from {opened.provenance.pretraining}"


def _begin_with(model: EmotionNetwork, config: Config, classes: tuple[str, ...]) -> None:
    """Give a network the weights of a checkpoint: all, or for other labels those of its body."""
    assert config.initial_weights is not None
    given, card = load_checkpoint(config.initial_weights)
    differing = set(config.model.list_differences(ModelSpec.from_card(card.architecture))) - _REGULARISATION
    if differing:
        raise ConfigError(
            f"{config.initial_weights} is of another architecture; these keys differ: {sorted(differing)}. Its "
            "pathways alone are taken with trunk_weights and side_weights"
        )
    taken = given.state_dict()
    if card.labels != classes:
        log.info(
            "labels %s in place of %s: the classifiers are trained from scratch",
            ", ".join(classes),
            ", ".join(card.labels),
        )
        wider = build_network(config.model, classes=len(card.labels) + 1).state_dict()
        taken = {name: value for name, value in taken.items() if name in wider and wider[name].shape == value.shape}
    own = model.state_dict()
    model.load_state_dict(own | {name: value for name, value in taken.items() if name in own})


def _adapt(model: EmotionNetwork, role: str, training: FaceSet, config: Config) -> None:
    some = np.random.default_rng(config.seed).permutation(len(training))[:_ADAPTATION_IMAGES]
    batch = FaceBatches(training, config.preprocess)[Picks(torch.from_numpy(some), config.seed)]
    pathway = getattr(model, role)
    adapt_statistics(pathway.eval(), batch.images)
    pathway.train()


def freeze(model: EmotionNetwork, stages: int) -> None:
    """Let so many of the trunk's first stages learn no more; the configuration sees to it that there are as many."""
    if stages:
        assert isinstance(model.trunk, StagedBackbone)
        model.trunk.freeze(stages)
