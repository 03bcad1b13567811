"""The files from which a run is resumed: written atomically, and read as plain data without executing anything."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from cmaen.errors import CheckpointError
from cmaen.files import replace_file
from cmaen.models.backbones.base import read_state_dict

log = logging.getLogger(__name__)

_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")
_PARTS = ("pytorch-lightning_version", "epoch", "global_step", "state_dict", "loops", "callbacks", "optimizer_states")


def read_run_state(path: Path) -> dict[str, Any]:
    """Read the state that Lightning saved: tensors, numbers, strings, and lists and dicts of them.

    Raises:
        CheckpointError: The file is missing or damaged, holds anything else, or is not the state of a run.
    """
    state: dict[str, Any] = read_state_dict(path)
    if missing := [part for part in _PARTS if part not in state]:
        raise CheckpointError(f"{path} is not the state of a run: it lacks {missing}")
    callbacks = state["callbacks"]
    if not isinstance(callbacks, dict) or not all(isinstance(name, str) for name in callbacks):
        raise CheckpointError(f"{path} is not the state of a run: its callbacks have no names")
    return state


class PlainCheckpoints(TorchCheckpointIO):
    """Lightning's reader and writer of checkpoint files.

    Lightning's default writes to the system's temporary folder and then copies the file if that is another disk, and
    always on Windows: a kill while it copies destroys the last checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Write a file atomically.

        Raises:
            OutputError: The file cannot be written; the previous one is unchanged.
        """
        with replace_file(Path(path), foreign=(RuntimeError,)) as temporary:  # PyTorch's error for a full disk
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a file, see :func:`read_run_state`; if the run's folder was moved, its best epoch's path is updated."""
        return _move_paths(read_run_state(Path(path)), Path(path).parent)


def _move_paths(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Update the paths in the state of a run to the folder that now holds its files.

    Lightning stores absolute paths, and forgets the score of the best epoch if they differ.
    """

    def here(path: str) -> str:
        return str(place / re.split(r"[/\\]", path)[-1]) if path else path

    place = Path(os.path.realpath(folder))
    for name, kept in state["callbacks"].items():
        if not (name.startswith("ModelCheckpoint") and isinstance(kept, dict)):
            continue
        kept |= {key: here(kept[key]) for key in _PATHS if isinstance(kept.get(key), str)}
        kept |= {"dirpath": str(place), "best_k_models": {here(path): score for path, score in _scores(kept)}}
        best = kept.get("best_model_path")
        if kept.get("monitor") and best and not Path(best).is_file():
            log.warning("%s is missing: only the epochs that follow compete to be the best", best)
            kept |= {"best_model_path": "", "best_model_score": None, "best_k_models": {}, "kth_best_model_path": ""}
            kept["kth_value"] = torch.tensor(-torch.inf)
    return state


def _scores(kept: dict[str, Any]) -> list[tuple[str, Any]]:
    return list((kept.get("best_k_models") or {}).items())
