"""Saving and loading a network with its card, as safetensors: nothing is ever unpickled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cmaen.checkpoints import (
    SAFETENSORS,
    Card,
    Checkpoint,
    Documents,
    Epoch,
    Metrics,
    Part,
    Provenance,
    SeenFaces,
    Where,
)
from cmaen.checkpoints.history import join_histories
from cmaen.errors import CheckpointError, ConfigError
from cmaen.files import replace_file
from cmaen.models.backbones import Backbone
from cmaen.models.base import EmotionNetwork
from cmaen.models.build import build_network
from cmaen.models.parts.attention import MultiScaleAttention
from cmaen.models.spec import ModelSpec


def save_checkpoint(
    model: EmotionNetwork,
    card: Card,
    folder: Path,
    history: Sequence[Epoch] = (),
    *,
    provenance: Provenance | None = None,
    metrics: Metrics | None = None,
    seen: SeenFaces | None = None,
) -> Card:
    """Write a network's weights (float16) and its documents into a folder, atomically.

    Args:
        model: The network.
        card: What prediction needs.
        folder: Folder of the checkpoint; other files in it stay.
        history: The epochs of the training.
        provenance: How the weights were made.
        metrics: The measured results.
        seen: The faces that the network was trained on.

    Returns:
        The card as written, with the checksum of the weights; files exported from older weights are removed.

    Raises:
        OutputError: The folder cannot be written; it is unchanged.
    """
    state = {name: _pack(value) for name, value in model.state_dict().items()}

    def write(path: Path) -> None:
        with replace_file(path, foreign=(SafetensorError,)) as temporary:
            save_file(state, temporary)

    documents = Documents(
        replace(card, precision={}), provenance or Provenance(), metrics or Metrics(), tuple(history), seen
    )
    return Checkpoint.create(folder, documents, {SAFETENSORS: write}).card


def load_checkpoint(checkpoint: Where = None) -> tuple[EmotionNetwork, Card]:
    """Load the network of a checkpoint, in evaluation mode with float32 weights, and its card.

    Args:
        checkpoint: Folder of the checkpoint, any file in it, or its name, see
            :meth:`cmaen.checkpoints.Checkpoint.open`.

    Raises:
        CheckpointError: A file is missing or damaged, or the weights belong to another architecture.
    """
    opened = Checkpoint.open(checkpoint)
    card, path = opened.card, opened.weights("torch")
    try:
        spec = ModelSpec.from_card(card.architecture)
        classes, perceived = card.outputs["classes"], card.outputs["perceived"]
        state = rename_parts(load_file(path))
        with torch.device("meta"):  # without memory: a card may name any size
            _require_fit(build_network(spec, classes=classes, perceived=perceived), state)
        model = build_network(spec, classes=classes, perceived=perceived)
        model.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        )
    except (OSError, SafetensorError, RuntimeError, ConfigError, TypeError, ValueError) as error:
        raise CheckpointError(f"the weights of {path} do not fit the architecture in the card: {error}") from error
    return model.eval(), card


def take_pathway(network: EmotionNetwork, role: str, name: str, checkpoint: Path) -> None:
    """Load one pathway of a network from the pathway of the same name in a checkpoint, or from the wider one.

    Args:
        network: The network, changed in place: the pathway and, if both have it, its multi-scale attention.
        role: Role in the network, ``trunk`` or ``side``; in the checkpoint it may be the other one.
        name: Name of the pathway, such as ``mobilenet_v1`` or ``ecnn``.
        checkpoint: Folder of the checkpoint, or any file in it.

    Raises:
        CheckpointError: The checkpoint is missing or damaged.
        ConfigError: It has no such pathway, or one of other widths.
    """
    given, card = load_checkpoint(checkpoint)
    spec = ModelSpec.from_card(card.architecture)
    there = {"trunk": spec.trunk, "side": spec.side}
    pathway: Backbone = getattr(network, role)
    fitting = [name] if pathway.wider is None else [name, pathway.wider]
    found = next((other for each in fitting for other in (role, "trunk", "side") if there[other] == each), None)
    if found is None:
        pathways = " and ".join(filter(None, there.values()))
        raise ConfigError(f"{checkpoint} has the pathways {pathways}, but no {name} for the {role}")
    own_attention, its_attention = (getattr(each, f"{at}_attention") for each, at in ((network, role), (given, found)))
    try:
        pathway.take(getattr(given, found).state_dict())
        if isinstance(own_attention, MultiScaleAttention) and isinstance(its_attention, MultiScaleAttention):
            own_attention.load_state_dict(its_attention.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            f"the {name} of {checkpoint} differs from that of the network; compare ecnn_widths, ecnn_stem and "
            f"scales: {error}"
        ) from error


def rename_parts(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename weights of older checkpoints, which call the pathways ``backbone`` and ``ecnn``."""
    both = any(name.startswith("backbone.") for name in state)
    ecnn = "side" if both else "trunk"
    renamed = {
        "backbone.": "trunk.",
        "backbone_attention.": "trunk_attention.",
        "fusion.backbone_proj.": "fusion.trunk_proj.",
        "ecnn.": f"{ecnn}.",
        "ecnn_attention.": f"{ecnn}_attention.",
        "fusion.ecnn_proj.": f"fusion.{ecnn}_proj.",
    }
    found = {}
    for name, value in state.items():
        old = next((prefix for prefix in renamed if name.startswith(prefix)), "")
        found[renamed.get(old, "") + name.removeprefix(old)] = value
    return found


def _require_fit(network: EmotionNetwork, state: Mapping[str, torch.Tensor]) -> None:
    """Refuse weights that do not belong to a network, of which only the shapes are needed."""
    for name, value in network.state_dict().items():
        if name not in state or state[name].shape != value.shape:
            there = list(state[name].shape) if name in state else "missing"
            raise ValueError(f"{name} is {there} and should be {list(value.shape)}")


def average_checkpoints(checkpoints: Sequence[Where], weights: Sequence[float], folder: Path) -> Card:
    """Average the weights of networks that share a start into one network (Wortsman et al., 2022).

    Args:
        checkpoints: Checkpoints of one architecture, preprocessing and enhancement; the first provides the card.
        weights: Weight of each checkpoint; they are divided by their sum.
        folder: Folder of the new checkpoint; its card names all parts and their licences, and has no figures, because
            none were measured yet; its history is that of all parts, and so are the faces that it was trained on.

    Raises:
        CheckpointError: A checkpoint is missing or damaged, or they are of different kinds.
        ConfigError: There is not one weight above 0 per checkpoint, or the folder is that of a part.
        OutputError: The folder cannot be written.
    """
    if len(weights) != len(checkpoints) or not checkpoints or not all(0 < weight < math.inf for weight in weights):
        raise ConfigError("an average needs a weight above 0 for every checkpoint")
    opened = [Checkpoint.open(checkpoint) for checkpoint in checkpoints]
    if any(folder.resolve() == checkpoint.folder.resolve() for checkpoint in opened):
        raise ConfigError(f"{folder} is one of the checkpoints to be averaged; choose another folder for the average")
    loaded = [load_checkpoint(checkpoint) for checkpoint in opened]
    model, card = loaded[0]
    for checkpoint, (_, other) in zip(opened, loaded, strict=True):
        own, others = (ModelSpec.from_card(part.architecture) for part in (card, other))
        differs = own.list_differences(others) or other.preprocess != card.preprocess
        differs = differs or other.enhancement != card.enhancement
        if differs or other.drop_calibration().schemes != card.drop_calibration().schemes:
            raise CheckpointError(
                f"{checkpoint.folder} and {opened[0].folder} differ in architecture, preprocessing, enhancement of the "
                "faces or labels"
            )
    states = [network.state_dict() for network, _ in loaded]
    shares = [weight / sum(weights) for weight in weights]
    model.load_state_dict(
        {
            name: torch.stack([share * state[name] for share, state in zip(shares, states, strict=True)]).sum(dim=0)
            if value.is_floating_point()
            else value
            for name, value in states[0].items()
        }
    )
    parts = [
        Part(checkpoint.card.name, share, checkpoint.provenance)
        for share, checkpoint in zip(shares, opened, strict=True)
    ]
    provenance = Provenance(averaged=tuple(parts), pretraining=opened[0].provenance.pretraining)
    licences = dict.fromkeys(other.licence for _, other in loaded if other.licence)
    averaged = replace(card.drop_calibration(), cost={}, licence="; ".join(licences))
    history = join_histories([checkpoint.history for checkpoint in opened])
    known = [checkpoint.seen for checkpoint in opened if checkpoint.seen is not None]
    seen = known[0].unite(*known[1:]) if known else None
    return save_checkpoint(model, averaged, folder, history, provenance=provenance, seen=seen)


def _pack(value: torch.Tensor) -> torch.Tensor:
    """Convert a value to float16 if the range allows it."""
    value = value.detach().cpu().contiguous()
    if value.is_floating_point() and value.abs().max() < torch.finfo(torch.float16).max:
        return value.half()
    return value
