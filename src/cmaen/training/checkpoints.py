"""The files that a run is resumed from: written whole or not at all, and read as plain data, of which nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from cmaen.errors import CheckpointError
from cmaen.files import replacing
from cmaen.models.backbones.base import read_state_dict

_PARTS = ("pytorch-lightning_version", "epoch", "global_step", "state_dict", "loops", "callbacks", "optimizer_states")


def read_run_state(path: Path) -> dict[str, Any]:
    """What Lightning saved of a run: tensors, numbers, texts, and lists and dicts of them.

    Raises:
        CheckpointError: The file is missing or damaged, holds anything else, or is not of a run.
    """
    state: dict[str, Any] = read_state_dict(path)
    if missing := [part for part in _PARTS if part not in state]:
        raise CheckpointError(f"{path} is not the state of a run: it lacks {missing}")
    return state


class PlainCheckpoints(TorchCheckpointIO):
    """How Lightning writes and reads its files.

    Its own way writes beside the system's temporary files and then copies, where that is another disk, and always on
    Windows: a kill in that moment takes the last checkpoint with it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Write a file, whole or not at all.

        Raises:
            OutputError: It cannot be written; the one before is as it was.
        """
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """See :func:`read_run_state`."""
        return read_run_state(Path(path))
