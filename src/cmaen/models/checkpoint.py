"""Saving and loading a network with its card, as safetensors: nothing is ever unpickled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cmaen.card import SAFETENSORS, Card, folder_of, read_card, verified
from cmaen.checkpoints import write_checkpoint
from cmaen.errors import CheckpointError, ConfigError
from cmaen.files import replacing
from cmaen.history import Epoch, joined, read_history
from cmaen.models.base import EmotionNetwork
from cmaen.models.build import build_network
from cmaen.models.parts.attention import MultiScaleAttention
from cmaen.models.spec import ModelSpec


def save_checkpoint(model: EmotionNetwork, card: Card, folder: Path, history: Sequence[Epoch] = ()) -> Card:
    """Write the weights (float16), the card and the history of a network into a folder, all of them or none.

    Returns:
        The card as written, with the checksum of the weights; files exported from older weights go away.

    Raises:
        OutputError: The folder cannot be written; it is as it was.
    """
    state = {name: _packed(value) for name, value in model.state_dict().items()}

    def write(path: Path) -> None:
        with replacing(path, foreign=(SafetensorError,)) as temporary:
            save_file(state, temporary)

    return write_checkpoint(folder, replace(card, precision={}), {SAFETENSORS: write}, history=history)


def load_checkpoint(checkpoint: Path) -> tuple[EmotionNetwork, Card]:
    """The network of a checkpoint, in evaluation mode with float32 weights, and its card.

    Args:
        checkpoint: Its folder, or any file in it.

    Raises:
        CheckpointError: A file is missing or corrupt, or the weights are of another architecture.
    """
    card = read_card(checkpoint)
    path = verified(checkpoint, "torch")
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
    """Give one pathway of a network the weights of the pathway of the same name in a checkpoint.

    Args:
        network: Changed in place: the pathway, and where both have it its multi-scale attention.
        role: ``trunk`` or ``side``, in the network; in the checkpoint it may be the other one.
        name: Of the pathway, like ``mobilenet_v1`` or ``ecnn``.
        checkpoint: Its folder, or any file in it.

    Raises:
        CheckpointError: The checkpoint is missing or corrupt.
        ConfigError: It has no such pathway, or one of other widths.
    """
    given, card = load_checkpoint(checkpoint)
    spec = ModelSpec.from_card(card.architecture)
    there = {"trunk": spec.trunk, "side": spec.side}
    found = next((other for other in (role, "trunk", "side") if there[other] == name), None)
    if found is None:
        pathways = " and ".join(pathway for pathway in there.values() if pathway)
        raise ConfigError(f"{checkpoint} has the pathways {pathways}, and no {name} for the {role}")
    own_attention, its_attention = (getattr(each, f"{at}_attention") for each, at in ((network, role), (given, found)))
    try:
        getattr(network, role).load_state_dict(getattr(given, found).state_dict())
        if isinstance(own_attention, MultiScaleAttention) and isinstance(its_attention, MultiScaleAttention):
            own_attention.load_state_dict(its_attention.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            f"the {name} of {checkpoint} is not that of the network, compare ecnn_widths, ecnn_stem and scales: {error}"
        ) from error


def rename_parts(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights by the names of today: those of older checkpoints know the pathways as ``backbone`` and ``ecnn``."""
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
    """Refuse weights that are not those of a network, of which the shapes alone are needed."""
    for name, value in network.state_dict().items():
        if name not in state or state[name].shape != value.shape:
            there = list(state[name].shape) if name in state else "missing"
            raise ValueError(f"{name} is {there} and should be {list(value.shape)}")


def average_checkpoints(checkpoints: Sequence[Path], weights: Sequence[float], folder: Path) -> Card:
    """The mean of the weights of networks that share a start, as one network (Wortsman et al., 2022).

    Args:
        checkpoints: Folders, of one architecture and one preprocessing; the first gives the card.
        weights: Of each, to be divided by their sum.
        folder: Of the new checkpoint; its card names all parts and their licences, and holds no figures, for none was
            measured yet; its history is that of all parts.

    Raises:
        CheckpointError: One is missing or corrupt, or they are of different kinds.
        ConfigError: There is not one weight above 0 a checkpoint, or the folder is that of a part.
        OutputError: The folder cannot be written.
    """
    if len(weights) != len(checkpoints) or not checkpoints or not all(0 < weight < math.inf for weight in weights):
        raise ConfigError("an average needs a weight above 0 for every checkpoint")
    if any(folder.resolve() == folder_of(checkpoint).resolve() for checkpoint in checkpoints):
        raise ConfigError(f"{folder} is one of the checkpoints to be averaged; choose another folder for the average")
    loaded = [load_checkpoint(checkpoint) for checkpoint in checkpoints]
    model, card = loaded[0]
    for checkpoint, (_, other) in zip(checkpoints, loaded, strict=True):
        own, others = (ModelSpec.from_card(part.architecture) for part in (card, other))
        differs = own.list_differences(others) or other.preprocess != card.preprocess
        if differs or other.uncalibrated().schemes != card.uncalibrated().schemes:
            raise CheckpointError(f"{checkpoint} and {checkpoints[0]} differ in architecture, preprocessing or labels")
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
        {"name": other.name, "share": share, "training": other.training}
        for share, (_, other) in zip(shares, loaded, strict=True)
    ]
    training = {"averaged": parts, "pretraining": card.training.get("pretraining")}
    licences = dict.fromkeys(other.licence for _, other in loaded if other.licence)
    averaged = replace(card.uncalibrated(), training=training, metrics={}, cost={}, licence="; ".join(licences))
    return save_checkpoint(model, averaged, folder, joined([read_history(folder_of(each)) for each in checkpoints]))


def _packed(value: torch.Tensor) -> torch.Tensor:
    """float16 where the range allows it."""
    value = value.detach().cpu().contiguous()
    if value.is_floating_point() and value.abs().max() < torch.finfo(torch.float16).max:
        return value.half()
    return value
