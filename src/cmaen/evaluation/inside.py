"""What is to be seen inside of a network: features of some faces, and maps over a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Checkpoint
from cmaen.data.splits import FaceSet
from cmaen.evaluation.gallery import Mapped
from cmaen.heat import overlay

SCATTERED = 1500
"""Faces whose features are shown."""
MAPPED = 2
"""Faces of each label whose maps are shown."""
TELLING = 0.15
"""A map with a smaller part of its variation from face to face is nearly the same for every face: it tells nothing."""


class Features(NamedTuple):
    """The penultimate features of some faces, float32 [M, F], and their labels int64 [M]."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


class Inside(NamedTuple):
    """What is to be seen inside of a network.

    Attributes:
        features: For the t-SNE.
        maps: Where it looks, without the maps that tell nothing.
        variation: How much of the variation of an attention map is from face to face, in [0, 1], by its name.
    """

    features: Features
    maps: Sequence[Mapped]
    variation: Mapping[str, float]

    @property
    def telling(self) -> dict[str, float]:
        """The variation of the maps that are shown."""
        return {name: share for name, share in self.variation.items() if share >= TELLING}

    @property
    def silent(self) -> dict[str, float]:
        """The variation of the maps that are left out, for it is below :data:`TELLING`."""
        return {name: share for name, share in self.variation.items() if share < TELLING}


def look_inside(checkpoint: Checkpoint, faces: FaceSet) -> Inside | None:
    """Features of some faces, maps over a few, and how much of the maps' variation is from face to face.

    Returns:
        ``None`` where PyTorch or the weights that it needs are missing.
    """
    try:
        from cmaen.explanation import Explainer
    except ModuleNotFoundError:
        return None
    if not checkpoint.has("torch"):
        return None
    explainer, classes = Explainer(checkpoint), faces.classes
    order = np.random.default_rng(0).permutation(len(faces))
    some = order[:SCATTERED]
    variation = {
        name.replace("_", " "): found.share for name, found in explainer.variation(list(faces.images[some])).items()
    }
    shown = [index for label in range(len(classes)) for index in order[faces.labels[order] == label][:MAPPED]]
    maps = []
    for index, found in zip(shown, explainer.explain([faces.images[i] for i in shown]), strict=True):
        crop = faces.images[index]
        named = {name.replace("_", " "): heat for name, heat in found.maps.items()}
        pictures = {name: overlay(crop, heat) for name, heat in named.items() if variation.get(name, 1) >= TELLING}
        maps.append(Mapped(classes[found.emotion], classes[faces.labels[index]], {"face": crop, **pictures}))
    return Inside(Features(explainer.features(list(faces.images[some])), faces.labels[some]), maps, variation)
