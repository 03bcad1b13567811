"""The initial network of a run: random, with pretrained pathways, or with the weights of a whole checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from cmaen.checkpoints import Checkpoint, SeenFaces, Where
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
    """Build the initial network of a run.

    Args:
        config: Configuration of the run.
        training: The faces of Training.
        resume: Load no weights here: they come from the checkpoint of the resumed run.

    Raises:
        CheckpointError: Weights are missing or damaged, or cannot be downloaded.
        ConfigError: The weights belong to another architecture.
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
            log.warning("the %s %s starts from random weights; --%s-weights names pretrained ones", role, name, role)
    return model


def find_pretrained(model: EmotionNetwork, config: Config) -> tuple[str, ...]:
    """Find the pathways to train gently: every backbone, and the E-CNN if it starts from trained weights."""
    present = [role for role in ("trunk", "side") if getattr(model, role) is not None]
    given = present if config.initial_weights is not None else config.pathway_weights.keys()
    return tuple(role for role in present if role in model.pretrained or role in given)


def describe_beginning(config: Config) -> str | None:
    """Describe where the initial weights come from, as far back as the cards record; ``None`` if all are random."""
    if config.initial_weights is not None:
        return _describe(config.initial_weights)
    return "; ".join(_describe_weights(config)) or None


def find_licence(config: Config) -> str:
    """Return the licence of the weights: the configured one, or that of the initial weights."""
    begins: list[Where] = [Path(given) for given in config.pathway_weights.values() if Path(given).is_dir()]
    if config.initial_weights is not None:
        begins = [config.initial_weights]
    licences = (Checkpoint.open(where).card.licence for where in begins)
    return config.licence or "; ".join(dict.fromkeys(filter(None, licences)))


def find_seen(config: Config) -> SeenFaces | None:
    """Find the faces that the initial weights were trained on, as far as checkpoints record them."""
    begins: list[Where] = [Path(given) for given in config.pathway_weights.values() if Path(given).is_dir()]
    if config.initial_weights is not None:
        begins = [config.initial_weights]
    found = [(opened, opened.seen) for opened in map(Checkpoint.open, begins)]
    for opened, seen in found:
        if seen is None:
            log.warning("%s does not record the faces that it was trained on", opened.folder)
    known = [seen for _, seen in found if seen is not None]
    return known[0].unite(*known[1:]) if known else None


def _describe_weights(config: Config) -> Iterator[str]:
    for role, given in config.pathway_weights.items():
        name = getattr(config.model, role)
        if Path(given).is_dir():
            yield f"the {role} of {_describe(Path(given))}"
        elif given == INSTALLED:
            yield f"the weights of {name} installed with this package"
        elif given == PRETRAINED:
            yield f"the pretrained weights of {name}"
        else:
            yield Path(given).name


def _describe(checkpoint: Where) -> str:
    opened = Checkpoint.open(checkpoint)
    return f"{opened.describe()}, from {opened.provenance.pretraining}"


def _begin_with(model: EmotionNetwork, config: Config, classes: tuple[str, ...]) -> None:
    """Load the weights of a checkpoint into a network: all of them, or only its body if the labels differ."""
    assert config.initial_weights is not None
    given, card = load_checkpoint(config.initial_weights)
    differing = set(config.model.list_differences(ModelSpec.from_card(card.architecture))) - _REGULARISATION
    if differing:
        raise ConfigError(
            f"{config.initial_weights} has another architecture; these keys differ: {sorted(differing)}. To train "
            "another network, leave out initial_weights (on the command line, name a configuration with --config); to "
            "take its pathways alone, set trunk_weights and side_weights"
        )
    taken = given.state_dict()
    if card.labels != classes:
        log.info(
            "labels %s in place of %s: the classifiers are trained from scratch",
            ", ".join(classes),
            ", ".join(card.labels),
        )
        with torch.device("meta"):  # only its shapes are needed
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


def freeze(model: EmotionNetwork, config: Config) -> None:
    """Freeze what the configuration freezes: the pretrained pathways, or the first stages of the trunk.

    The configuration guarantees that the trunk has that many stages.
    """
    if config.optimiser.backbone_rate == 0:
        for role in find_pretrained(model, config):
            getattr(model, role).freeze()
    if stages := config.training.frozen_stages:
        assert isinstance(model.trunk, StagedBackbone)
        model.trunk.freeze_stages(stages)
