"""As many faces of every emotion: what is too much is left out, what is missing is made (of Training alone)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from imblearn.over_sampling import SMOTE, BorderlineSMOTE
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from cmaen.data.augmentation import augment
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import ConfigError, DataError

COMPONENTS = 64
"""Of the compact space that neighbours are looked for in."""
_NEIGHBOURS = 5
_SURROUNDINGS = 10
_BATCH = 256

Maker = Callable[[FaceSet, int, int], tuple[NDArray[np.uint8], NDArray[np.int64]]]
"""(faces, target, seed) -> images and labels to be added, so that every emotion has ``target``."""


@dataclass(frozen=True)
class Balanced:
    """A balanced set.

    Attributes:
        faces: Of Training; those that were kept, then those that were made.
        synthetic: bool [N], which were made.
        before: How many faces each emotion had.
    """

    faces: FaceSet
    synthetic: NDArray[np.bool_]
    before: dict[str, int]

    def stats(self) -> dict[str, Any]:
        """Counts by emotion: before, after, and how many of these were made."""
        made = self.faces.select(self.synthetic).counts()
        return {"before": self.before, "after": self.faces.counts(), "synthetic": made}


def balance(faces: FaceSet, *, target: int, method: str, seed: int) -> Balanced:
    """Give every emotion ``target`` faces.

    Args:
        faces: Of Training.
        target: Faces of each emotion; the paper's is 7,000.
        method: One of :data:`METHODS`.
        seed: Of all randomness.

    Raises:
        SplitError: The faces are of another split, which is never balanced.
        ConfigError: There is no such method, or the target is below 1.
        DataError: An emotion has no faces, or too few to be interpolated.
    """
    faces.require(Split.TRAIN, "balancing")
    if method not in METHODS:
        raise ConfigError(f"{method!r} is no way of making faces; choose from {sorted(METHODS)}")
    if target < 1:
        raise ConfigError(f"the target must be 1 face or more of each emotion, not {target}")
    before = faces.counts()
    missing = [name for name, count in before.items() if not count]
    if missing:
        raise DataError(f"there are no faces of {', '.join(missing)} to make more of")
    kept = _reduced(faces, target, seed)
    images, labels = METHODS[method](kept, target, seed)
    names = [f"{method}_{number:06d}.png" for number in range(len(labels))]
    votes = (
        None
        if kept.votes is None
        else np.vstack([kept.votes, np.zeros((len(labels), *kept.votes.shape[1:]), np.uint8)])
    )
    whole = replace(
        kept,
        images=np.concatenate([kept.images, images]),
        labels=np.concatenate([kept.labels, labels]),
        names=(*kept.names, *names),
        votes=votes,
    )
    return Balanced(whole, np.arange(len(whole)) >= len(kept), before)


def shares(faces: FaceSet) -> dict[str, float]:
    """How often each face of an emotion is to be drawn against the others, so that all emotions come as often."""
    counts = faces.counts()
    return {name: len(faces) / (len(counts) * count) if count else 0.0 for name, count in counts.items()}


def sheet(balanced: Balanced, columns: int = 16) -> NDArray[np.uint8]:
    """Made faces to look at, a row a class: uint8 [C H, columns W] or [..., 3], black where there are no more."""
    faces = balanced.faces
    height, width, *channels = faces.images.shape[1:]
    page = np.zeros((len(faces.classes) * height, columns * width, *channels), np.uint8)
    for row in range(len(faces.classes)):
        shown = np.flatnonzero(balanced.synthetic & (faces.labels == row))[:columns]
        for column, index in enumerate(shown):
            page[row * height : (row + 1) * height, column * width : (column + 1) * width] = faces.images[index]
    return page


def _reduced(faces: FaceSet, target: int, seed: int) -> FaceSet:
    """At most ``target`` of each emotion, drawn at random, in their order."""
    rng = np.random.default_rng(seed)
    kept = [rng.permutation(np.flatnonzero(faces.labels == label))[:target] for label in range(len(faces.classes))]
    return faces.select(np.sort(np.concatenate(kept)))


class _CompactNeighbors(NearestNeighbors):  # type: ignore[misc]
    """Neighbours by the first columns alone; the others are carried along."""

    def __init__(self, columns: int = COMPONENTS, n_neighbors: int = _NEIGHBOURS) -> None:
        super().__init__(n_neighbors=n_neighbors)
        self.columns = columns

    def fit(self, X: NDArray[np.float32], y: None = None) -> _CompactNeighbors:  # noqa: N803, scikit-learn's name
        return super().fit(X[:, : self.columns])  # type: ignore[no-any-return]

    def kneighbors(self, X: NDArray[np.float32], **options: Any) -> Any:  # noqa: N803
        return super().kneighbors(X[:, : self.columns], **options)


def _borderline_smote(faces: FaceSet, target: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """BorderlineSMOTE (Han et al., 2005; borderline-1): between a face near another emotion and one of its own.

    Neighbours are those in the principal components of the pixels; what is interpolated is the pixels of the two faces,
    in float32, so that the result lies between them. An emotion none of whose faces is near another is interpolated
    anywhere (SMOTE, Chawla et al., 2002).
    """
    counts = np.bincount(faces.labels, minlength=len(faces.classes))
    scarce = {label: target for label in range(len(faces.classes)) if counts[label] < target}
    if not scarce:
        return faces.images[:0], faces.labels[:0]
    fewest = min(int(counts[label]) for label in scarce)
    if fewest < 2:
        raise DataError(f"{faces.classes[int(counts.argmin())]} has a single face, and two are needed to interpolate")
    pixels = faces.images.reshape(len(faces), -1).astype(np.float32)  # [N, H, W] -> [N, H * W]
    columns = min(COMPONENTS, *pixels.shape)
    compact = PCA(columns, svd_solver="randomized", random_state=seed).fit_transform(pixels)
    joined = np.hstack([compact.astype(np.float32), pixels])
    nearest = _CompactNeighbors(columns, min(_NEIGHBOURS, fewest - 1) + 1)  # the first is the face itself
    around = _CompactNeighbors(columns, min(_SURROUNDINGS, len(faces) - 1) + 1)
    samplers = (
        BorderlineSMOTE(sampling_strategy=scarce, random_state=seed, k_neighbors=nearest, m_neighbors=around),
        SMOTE(random_state=seed, k_neighbors=nearest),
    )
    labels = faces.labels
    for sampler in samplers:
        counts = np.bincount(labels, minlength=len(faces.classes))
        left = {label: target for label in scarce if counts[label] < target}
        if left:
            joined, labels = sampler.set_params(sampling_strategy=left).fit_resample(joined, labels)
    made = np.rint(joined[len(faces) :, columns:]).clip(0, 255).astype(np.uint8)
    return made.reshape(-1, *faces.images.shape[1:]), labels[len(faces) :]


def _augmented(faces: FaceSet, target: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Faces mirrored, turned, moved and re-lit, see :func:`cmaen.data.augmentation.augment`; nothing is hidden."""
    rng = np.random.default_rng(seed)
    owns = [np.flatnonzero(faces.labels == label) for label in range(len(faces.classes))]
    chosen = np.concatenate([np.resize(rng.permutation(own), target - len(own)) for own in owns])  # each as often
    generator = torch.Generator().manual_seed(seed)
    images = np.empty((len(chosen), *faces.images.shape[1:]), np.uint8)
    for start in range(0, len(chosen), _BATCH):
        part = torch.from_numpy(faces.images[chosen[start : start + _BATCH]])
        altered = augment(part, part.shape[1], generator, erase=0.0).round()  # [B, S, S(, 3)] -> [B, 1 or 3, S, S]
        images[start : start + _BATCH] = altered.permute(0, 2, 3, 1).numpy().reshape(part.shape)
    return images, faces.labels[chosen]


METHODS: dict[str, Maker] = {"borderline-smote": _borderline_smote, "augment": _augmented}
"""Ways of making faces, by name."""
