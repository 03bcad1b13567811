"""Writing a checkpoint's folder: weights, card and history are one, and a kill leaves the old one or the new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cmaen.card import FILES, Card, folder_of, read_card
from cmaen.files import sha256
from cmaen.folders import changing, remove
from cmaen.history import HISTORY, Epoch, write_history

Writer = Callable[[Path], object]
"""Writes a file of weights to a path."""


def write_checkpoint(
    folder: Path,
    card: Card,
    weights: Mapping[str, Writer],
    *,
    history: Sequence[Epoch] = (),
    kept: Mapping[str, str] | None = None,
) -> Card:
    """Write the files of a checkpoint, all of them or none.

    Args:
        folder: Of the checkpoint; other files in it stay.
        card: Its checksums are set here.
        weights: What writes each file of weights, by name.
        history: How its training went; none: a history that is there goes away.
        kept: Files of weights that are there and stay, with their checksums; all others go away.

    Returns:
        The card as written.

    Raises:
        OutputError: The folder cannot be written, or another process writes it; it is as it was.
    """
    with changing(folder) as draft:
        for name, write in weights.items():
            write(draft / name)
        return complete(draft, card, tuple(weights), history=history, kept=kept)


def complete(
    draft: Path,
    card: Card,
    weights: Sequence[str],
    *,
    history: Sequence[Epoch] = (),
    kept: Mapping[str, str] | None = None,
) -> Card:
    """Give the draft of a change its card and its history.

    Args:
        draft: See :func:`cmaen.folders.changing`.
        weights: The names of the files of weights that it holds.
        card, history, kept: See :func:`write_checkpoint`.
    """
    card = replace(card, sha256={**(kept or {}), **{name: sha256(draft / name) for name in weights}})
    write_history(draft, history)
    card.write(draft)
    known = {name for names in FILES.values() for name in names}
    remove(draft, *(known - card.sha256.keys()), *(() if history else (HISTORY,)))
    return card


def keep_in_card(checkpoint: Path, changed: Callable[[Card], Card]) -> Card:
    """Change the card of a checkpoint, which nothing else changes meanwhile.

    Args:
        checkpoint: Its folder, or any file in it.
        changed: From the card as it is to the card as it is to be.

    Raises:
        CheckpointError: There is no card, or it cannot be used.
        OutputError: The folder cannot be written, or another process writes it.
    """
    folder = folder_of(checkpoint)
    with changing(folder) as draft:
        card = changed(read_card(folder))
        card.write(draft)
    return card


def with_figures(card: Card, figures: Mapping[str, Any]) -> Card:
    """The card with more figures among its metrics; those of the same name are replaced."""
    return replace(card, metrics={**card.metrics, **figures})
