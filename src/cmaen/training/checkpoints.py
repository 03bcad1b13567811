"""The files that a run is resumed from: written whole or not at all, and read as plain data, of which nothing runs."""

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
    """What Lightning saved of a run: tensors, numbers, texts, and lists and dicts of them.

    Raises:
        CheckpointError: The file is missing or damaged, holds anything else, or is not of a run.
    """
    state: dict[str, Any] = read_state_dict(path)
    if missing := [part for part in _PARTS if part not in state]:
        raise CheckpointError(f"{path} is not the state of a run: it lacks {missing}")
    callbacks = state["callbacks"]
    if not isinstance(callbacks, dict) or not all(isinstance(name, str) for name in callbacks):
        raise CheckpointError(f"{path} is not the state of a run: its callbacks have no names")
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
        with replace_file(Path(path), foreign=(RuntimeError,)) as temporary:  # which a full disk is to PyTorch
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """See :func:`read_run_state`; where the run's folder was moved, its best epoch moves with it."""
        return _move_paths(read_run_state(Path(path)), Path(path).parent)


def _move_paths(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The state of a run whose files lie in a folder, wherever they lay before.

    Lightning keeps their whole paths, and forgets the best epoch's score where they differ.
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
            log.warning("%s is missing: the best of the epochs that follow is kept", best)
            kept |= {"best_model_path": "", "best_model_score": None, "best_k_models": {}, "kth_best_model_path": ""}
            kept["kth_value"] = torch.tensor(-torch.inf)
    return state


def _scores(kept: dict[str, Any]) -> list[tuple[str, Any]]:
    return list((kept.get("best_k_models") or {}).items())
