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
from cmaen.models.build import build_cmaen, check_architecture
from cmaen.models.network import EmotionNetwork


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
        check_architecture(card.architecture)
        state = load_file(path)
        with torch.device("meta"):  # without memory: a card may name any size
            _require_fit(build_cmaen(**{**card.architecture, **card.outputs}), state)
        model = build_cmaen(**{**card.architecture, **card.outputs})
        model.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        )
    except (OSError, SafetensorError, RuntimeError, ConfigError, TypeError, ValueError) as error:
        raise CheckpointError(f"the weights of {path} do not fit the architecture in the card: {error}") from error
    return model.eval(), card


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
        differs = card.differing(other.architecture) or other.preprocess != card.preprocess
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
