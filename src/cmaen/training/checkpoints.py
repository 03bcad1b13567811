"""The files that a run is resumed from, read as plain data: nothing in them is executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.fabric.plugins import TorchCheckpointIO

from cmaen.errors import CheckpointError
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
    """Lightning's way to write its files, and :func:`read_run_state` to read them."""

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """See :func:`read_run_state`."""
        return read_run_state(Path(path))
