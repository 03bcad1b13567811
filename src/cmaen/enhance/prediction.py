"""Enhancing face crops before prediction, by the steps that the card of a network names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmaen.devices import torch_device, torch_threads
from cmaen.enhance.onnx import STEPS, OnnxSuperResolution, OpenSession, open_step
from cmaen.enhance.recipe import LARGEST_SIDE, EnhancedFaces, NamedStep, Recipe, Step
from cmaen.enhance.weights import find_by_checksum, find_shipped
from cmaen.errors import EnhancementError, MissingExtraError, guard

_AT_ONCE, _PIXELS_AT_ONCE = 16, 16 * 48 * 48
"""Largest number of crops that are enhanced together, and of their pixels; a larger crop is enhanced alone."""

log = logging.getLogger(__name__)


class Enhancer:
    """Makes of any face crop what the training faces of a network were; safe to share between threads.

    Args:
        faces: The faces before the first step.
        steps: The steps, in order.
    """

    def __init__(self, faces: EnhancedFaces, steps: Sequence[Step]) -> None:
        self._faces, self._steps = faces, tuple(steps)

    def reduce(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Reduce a crop, RGB uint8 [h, w, 3] or grey [h, w], to what the first step sees; never enlarge it."""
        return self._faces.spec.reduce(crop)

    def __call__(self, crops: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """Enhance crops of any size, RGB uint8 [h, w, 3] or grey [h, w], to RGB uint8 [S, S, 3], in order.

        Raises:
            EnhancementError: A step fails, or would make faces too large.
        """
        found: list[NDArray[np.uint8]] = []
        size = min(_AT_ONCE, max(1, _PIXELS_AT_ONCE // self._faces.side**2))
        for start in range(0, len(crops), size):
            faces = self._faces(crops[start : start + size])
            for step in self._steps:
                if step.name == OnnxSuperResolution.name and faces.shape[1] > LARGEST_SIDE:  # a card may name it often
                    raise EnhancementError(f"faces of {faces.shape[1]} pixels are too large for {step.name}")
                with guard(EnhancementError, f"the enhancement step {step.name} fails"):
                    faces = step(faces)
            found += list(faces)
        return found


def build_enhancer(
    enhancement: Sequence[str],
    folder: Path,
    *,
    open_session: OpenSession,
    threads: int | None = None,
    device: str = "cpu",
) -> Enhancer | None:
    """Build the enhancement of a network; ``None`` if its training faces were not enhanced.

    The light networks, those of the package and those in the checkpoint's folder, run without PyTorch.

    Args:
        enhancement: :attr:`cmaen.checkpoints.Card.enhancement`.
        folder: Folder of the checkpoint, which may hold weights of the user's own, ``<step>.onnx`` or
            ``<step>.safetensors``.
        open_session: Opens a session of ONNX Runtime.
        threads, device: Threads and device of weights that need PyTorch.

    Raises:
        EnhancementError: A step does not exist, or its weights cannot be found or used.
        MissingExtraError: The weights need the extra ``enhance``.
        ConfigError: Published weights cannot be downloaded; the message says what to do by hand.
    """
    recipe = Recipe.parse(enhancement)
    steps = [_find_step(step, folder, open_session, threads, device) for step in recipe.steps]
    return Enhancer(recipe.faces, steps) if steps else None


def _find_step(wanted: NamedStep, folder: Path, open_session: OpenSession, threads: int | None, device: str) -> Step:
    if wanted.name not in STEPS:
        raise EnhancementError(
            f"the network in {folder} was trained on faces enhanced by {wanted.name!r}, which this version of cmaen "
            f"does not have; it has {', '.join(STEPS)}"
        )
    for path in (find_shipped(wanted.name).with_suffix(".onnx"), folder / f"{wanted.name}.onnx"):
        if (step := open_step(wanted, path, open_session)) is not None:
            return step
    weights = find_by_checksum(wanted.name, wanted.weights, folder)
    if weights is None:
        raise EnhancementError(
            f"the network in {folder} was trained on faces enhanced by {wanted.name} with weights that are not here: "
            f"copy their file, whose SHA-256 begins with {wanted.weights}, to {folder / wanted.name}.safetensors (or "
            ".pth), or to .onnx if it is the ONNX file that cmaen train-enhancer has written"
        )
    try:
        from cmaen.enhance.steps import STEPS as WITH_TORCH
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the network in {folder} enhances faces with {weights.name}, which", "enhance"
        ) from error
    log.info("%s: %s with PyTorch, by %s", folder, wanted.name, weights)
    return _WithThreads(WITH_TORCH[wanted.name](weights, device=torch_device(device)), threads)


class _WithThreads:
    """A step of PyTorch with a number of threads."""

    def __init__(self, step: Step, threads: int | None) -> None:
        self.name, self.weights = step.name, step.weights
        self._step, self._threads = step, threads

    def __call__(self, faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with torch_threads(self._threads):
            return self._step(faces)
