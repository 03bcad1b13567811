"""Saving and loading a network with its card, as safetensors: nothing is ever unpickled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cmaen.card import FILES, SAFETENSORS, Card, read_card, verified
from cmaen.errors import CheckpointError
from cmaen.files import replacing, sha256
from cmaen.models.build import build_cmaen
from cmaen.models.network import EmotionNetwork


def save_checkpoint(model: EmotionNetwork, card: Card, folder: Path) -> Card:
    """Write the weights (float16) and the card of a network into a folder.

    Returns:
        The card as written, with the checksum of the weights; files exported from older weights go away.

    Raises:
        OutputError: The folder cannot be written.
    """
    state = {name: _packed(value) for name, value in model.state_dict().items()}
    path = folder / SAFETENSORS
    with replacing(path) as temporary:
        save_file(state, temporary)
    for exported in (*FILES["onnx"], *FILES["openvino"]):
        (folder / exported).unlink(missing_ok=True)
    card = replace(card, sha256={SAFETENSORS: sha256(path)}, precision={})
    card.write(folder)
    return card


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
        model = build_cmaen(**card.architecture)
        state = load_file(path)
        model.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        )
    except (SafetensorError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"the weights of {path} do not fit the architecture in the card: {error}") from error
    return model.eval(), card


def _packed(value: torch.Tensor) -> torch.Tensor:
    """float16 where the range allows it."""
    value = value.detach().cpu().contiguous()
    if value.is_floating_point() and value.abs().max() < torch.finfo(torch.float16).max:
        return value.half()
    return value
