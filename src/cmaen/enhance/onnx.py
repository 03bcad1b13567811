"""The enhancement steps with ONNX Runtime: the light networks without PyTorch, for prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmaen.data.restoration import Faces, grey_of
from cmaen.enhance.colour import colour, lightness_of, resample
from cmaen.enhance.recipe import NamedStep, Step
from cmaen.enhance.weights import find_shipped
from cmaen.errors import EnhancementError, describe, rename_errors
from cmaen.files import sha256

WEIGHTS = "weights"
"""Key of a file's metadata that holds the SHA-256 of the weights file it was made of."""
WINDOW, SHIFT = 8, 4
"""Side of the windows in which the light SwinIR attends, and their shift in every other block, in pixels."""
COLOUR_SIDE = 96
"""Side in pixels at which the light DDColor colours faces."""
_APART = -100.0

OpenSession = Callable[[Path], Any]
"""Opens a session of ONNX Runtime for a file, see :func:`cmaen.engines.onnx_session`."""


class OnnxSuperResolution:
    """The light SwinIR; see :class:`cmaen.enhance.steps.SuperResolution` for the same with PyTorch.

    Args:
        session: A session of the exported network.
        weights: SHA-256 of the weights file that it was made of.
    """

    name = "super-resolution"

    def __init__(self, session: Any, weights: str) -> None:
        self._session, self.weights = session, weights

    def __call__(self, faces: Faces) -> Faces:
        """Enhance a batch, see :class:`~cmaen.enhance.recipe.Step`."""
        height, width = faces.shape[1:3]
        down, across = -height % WINDOW, -width % WINDOW  # the network takes whole windows
        padded = np.pad(faces, ((0, 0), (0, down), (0, across), (0, 0)), mode="reflect")
        images = np.divide(padded.transpose(0, 3, 1, 2), 255, dtype=np.float32)  # [B, H, W, 3] -> [B, 3, H, W]
        mask = mask_windows(*padded.shape[1:3])
        (large,) = self._session.run(["large"], {"images": images, "mask": mask})
        scale = large.shape[2] // images.shape[2]
        large = large[:, :, : scale * height, : scale * width].clip(0, 1)
        return np.ascontiguousarray(np.rint(255 * large).astype(np.uint8).transpose(0, 2, 3, 1))


class OnnxColorization:
    """The light DDColor; see :class:`cmaen.enhance.steps.Colorization` for the same with PyTorch.

    Args:
        session, weights: See :class:`OnnxSuperResolution`.
    """

    name = "colorization"

    def __init__(self, session: Any, weights: str) -> None:
        self._session, self.weights = session, weights

    def __call__(self, faces: Faces) -> Faces:
        """Colourise a batch, see :class:`~cmaen.enhance.recipe.Step`."""
        lightness = lightness_of(faces)
        grey = np.stack([grey_of(light)[..., 0] for light in lightness])[:, None]  # [B, 1, H, W]
        small = resample(grey, COLOUR_SIDE, COLOUR_SIDE, smooth=True)
        (chroma,) = self._session.run(["chroma"], {"grey": small})
        chroma = resample(chroma, *faces.shape[1:3], smooth=False)
        return colour(lightness, chroma.transpose(0, 2, 3, 1))  # [B, 2, H, W] -> [B, H, W, 2]


STEPS: Mapping[str, Callable[[Any, str], Step]] = {
    "super-resolution": OnnxSuperResolution,
    "colorization": OnnxColorization,
}
"""The steps by name."""


def open_step(wanted: NamedStep, path: Path, open_session: OpenSession) -> Step | None:
    """Open the file of a step; ``None`` if it does not exist or was made of other weights.

    Raises:
        EnhancementError: The file is damaged, or is another kind of network.
    """
    if wanted.name not in STEPS or not path.is_file():
        return None
    with rename_errors(lambda problem: EnhancementError(f"{path} cannot be loaded: {describe(problem)}")):
        session = open_session(path)
        weights = session.get_modelmeta().custom_metadata_map.get(WEIGHTS, "")
        if not weights.startswith(wanted.weights):
            return None
        step = STEPS[wanted.name](session, weights)
        step(np.zeros((1, WINDOW, WINDOW, 3), np.uint8))  # another network fails here, and not on a face
    return step


def open_shipped(name: str, open_session: OpenSession) -> Step | None:
    """Open the light network of a step that comes with the package; ``None`` if there is none.

    Raises:
        EnhancementError: Its file is damaged.
    """
    weights = find_shipped(name)
    wanted = NamedStep(name, sha256(weights)) if weights.is_file() else None
    return wanted and open_step(wanted, weights.with_suffix(".onnx"), open_session)


@lru_cache(maxsize=8)
def mask_windows(height: int, width: int) -> NDArray[np.float32]:
    """Make the mask of the light SwinIR's shifted windows, which hold pixels of opposite edges.

    Args:
        height, width: Sides of the images in pixels, multiples of :data:`WINDOW`.

    Returns:
        Float32 [windows, 64, 64]: 0 where two pixels of a window may attend to each other, -100 elsewhere.
    """
    rows, columns = (np.digitize(np.arange(side), [side - WINDOW, side - SHIFT]) for side in (height, width))
    areas = 3 * rows[:, None] + columns  # [H, W]
    windows = areas.reshape(height // WINDOW, WINDOW, width // WINDOW, WINDOW).swapaxes(1, 2)
    pixels = windows.reshape(-1, WINDOW * WINDOW)  # [windows, 64]
    apart = pixels[:, None] != pixels[:, :, None]  # [windows, 64, 64]
    return np.asarray(_APART * apart, np.float32)
