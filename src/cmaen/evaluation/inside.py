"""A look inside a network: its features of some faces, and its maps of a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import Checkpoint
from cmaen.data.splits import FaceSet
from cmaen.drawing.heat import overlay
from cmaen.evaluation.gallery import Mapped

SCATTERED = 1500
"""Number of faces whose features are shown."""
MAPPED = 2
"""Number of faces of each label whose maps are shown."""
TELLING = 0.15
"""Least fraction of a map's variation between faces; below it, the map is nearly the same for every face."""


class Features(NamedTuple):
    """The penultimate features of some faces, float32 [M, F], and their labels int64 [M]."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


class Inside(NamedTuple):
    """Features and maps of a network.

    Attributes:
        features: Features for the t-SNE.
        maps: Faces with the maps that differ between faces.
        variation: Fraction of an attention map's variation that is between faces, in [0, 1], by name of the map.
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
        """The variation of the maps that are left out, because it is below :data:`TELLING`."""
        return {name: share for name, share in self.variation.items() if share < TELLING}


def look_inside(checkpoint: Checkpoint, faces: FaceSet) -> Inside | None:
    """Compute features of some faces, maps of a few, and the fraction of the maps' variation between faces.

    Returns:
        The features and maps; ``None`` if PyTorch or the weights that it needs are missing.
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
    survey = explainer.survey(list(faces.images[some]))
    variation = {name.replace("_", " "): found.share for name, found in survey.variation.items()}
    shown = [index for label in range(len(classes)) for index in order[faces.labels[order] == label][:MAPPED]]
    maps = []
    for index, found in zip(shown, explainer.explain([faces.images[i] for i in shown]), strict=True):
        crop = faces.images[index]
        named = {name.replace("_", " "): heat for name, heat in found.maps.items()}
        pictures = {name: overlay(crop, heat) for name, heat in named.items() if variation.get(name, 1) >= TELLING}
        maps.append(Mapped(classes[found.emotion], classes[faces.labels[index]], {"face": crop, **pictures}))
    return Inside(Features(survey.vectors, faces.labels[some]), maps, variation)
