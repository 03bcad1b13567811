"""Giving every emotion the same number of faces: surplus faces are left out, missing ones are made (in Training alone).

Made faces are stored as recipes of a few numbers each; their pixels are computed block by block while they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from cmaen.data.augmentation import augment
from cmaen.data.splits import FaceSet, Split
from cmaen.errors import ConfigError, DataError
from cmaen.preprocessing import resize, to_grey

COMPONENTS = 64
"""Dimensions of the compact space in which neighbours are searched."""
BLOCK = 64
"""Number of made faces whose pixels are in memory at a time."""
_COMPACT_SIDE = 48
"""Side in pixels to which larger faces are reduced, without colour, before neighbours are searched."""
_NEIGHBOURS = 5
_SURROUNDINGS = 10

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Made:
    """Recipes of faces to be made.

    Attributes:
        labels: int64 [N], sorted by class.
        block: Returns the images of the n-th :data:`BLOCK` of them, uint8 [B, H, W(, 3)], always the same ones.
    """

    labels: NDArray[np.int64]
    block: Callable[[int], Pixels]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of_recipes(cls, labels: NDArray[np.int64], cook: Callable[[slice], Pixels]) -> Made:
        """Build from a function that makes the faces of a range of recipes."""
        return cls(labels, lambda number: cook(slice(number * BLOCK, (number + 1) * BLOCK)))


Maker = Callable[[FaceSet, int, int], Made]
"""(faces, target, seed) -> the additional faces that bring every emotion to ``target``."""


@dataclass(frozen=True)
class Balanced:
    """A balanced set.

    Attributes:
        kept: The original faces of Training that are kept.
        made: The additional faces.
        method: Name of the method.
        before: Number of faces of each emotion in the source.
    """

    kept: FaceSet
    made: Made
    method: str
    before: dict[str, int]

    def __len__(self) -> int:
        return len(self.kept) + len(self.made)

    def blocks(self) -> Iterator[FaceSet]:
        """Yield all faces block by block: first those that were kept, then those that are made."""
        for start in range(0, len(self.kept), BLOCK):
            yield self.kept.select(np.arange(start, min(start + BLOCK, len(self.kept))))
        for number, start in enumerate(range(0, len(self.made), BLOCK)):
            labels = self.made.labels[start : start + BLOCK]
            names = tuple(f"{self.method}_{start + index:06d}.png" for index in range(len(labels)))
            votes = self.kept.votes
            none = None if votes is None else np.zeros((len(labels), *votes.shape[1:]), votes.dtype)
            yield replace(self.kept, images=self.made.block(number), labels=labels, names=names, votes=none)

    @property
    def faces(self) -> FaceSet:
        """All faces at once, in memory."""
        blocks = list(self.blocks())
        return replace(
            self.kept,
            images=np.concatenate([block.images for block in blocks]),
            labels=np.concatenate([block.labels for block in blocks]),
            names=tuple(name for block in blocks for name in block.names),
            votes=None if self.kept.votes is None else np.concatenate([np.asarray(block.votes) for block in blocks]),
        )

    @property
    def synthetic(self) -> NDArray[np.bool_]:
        """Whether each face was made, bool [N]."""
        return np.arange(len(self)) >= len(self.kept)

    def stats(self) -> dict[str, Any]:
        """Count the faces of each emotion: before, after, and how many of the latter were made."""
        classes = self.kept.classes
        made = dict(zip(classes, np.bincount(self.made.labels, minlength=len(classes)).tolist(), strict=True))
        after = {name: count + made[name] for name, count in self.kept.counts().items()}
        return {"before": self.before, "after": after, "synthetic": made}


def balance(faces: FaceSet, *, target: int, method: str, seed: int) -> Balanced:
    """Give every emotion ``target`` faces.

    Args:
        faces: The faces of Training.
        target: Number of faces of each emotion; the paper's is 7,000.
        method: One of :data:`METHODS`.
        seed: Random seed.

    Raises:
        SplitError: The faces belong to another split, which is never balanced.
        ConfigError: The method does not exist, or the target is below 1.
        DataError: An emotion has no faces, or too few to interpolate.
    """
    faces.require(Split.TRAIN, "balancing")
    if method not in METHODS:
        raise ConfigError(f"{method!r} is not a method of balancing; choose from {sorted(METHODS)}")
    if target < 1:
        raise ConfigError(f"the target must be at least 1 face of each emotion, not {target}")
    before = faces.counts()
    missing = [name for name, count in before.items() if not count]
    if missing:
        raise DataError(f"there are no faces of {', '.join(missing)} from which more could be made")
    kept = _reduce(faces, target, seed)
    return Balanced(kept, METHODS[method](kept, target, seed), method, before)


def shares(faces: FaceSet) -> dict[str, float]:
    """Compute how often to draw a face of each emotion, relative to others, so that all are drawn equally often."""
    counts = faces.counts()
    return {name: len(faces) / (len(counts) * count) if count else 0.0 for name, count in counts.items()}


def sheet(balanced: Balanced, columns: int = 16) -> Pixels:
    """Arrange made faces for viewing, one row per class: uint8 [C H, columns W] or [..., 3], padded with black."""
    kept, labels = balanced.kept, balanced.made.labels
    height, width, *channels = kept.images.shape[1:]
    page = np.zeros((len(kept.classes) * height, columns * width, *channels), np.uint8)
    block, loaded = np.empty(0, np.uint8), -1
    for row in range(len(kept.classes)):
        for column, index in enumerate(np.flatnonzero(labels == row)[:columns].tolist()):
            if index // BLOCK != loaded:
                loaded = index // BLOCK
                block = balanced.made.block(loaded)
            page[row * height : (row + 1) * height, column * width : (column + 1) * width] = block[index % BLOCK]
    return page


def _reduce(faces: FaceSet, target: int, seed: int) -> FaceSet:
    """Keep at most ``target`` faces of each emotion, drawn at random, in their order."""
    rng = np.random.default_rng(seed)
    kept = [rng.permutation(np.flatnonzero(faces.labels == label))[:target] for label in range(len(faces.classes))]
    return faces.select(np.sort(np.concatenate(kept)))


def _borderline_smote(faces: FaceSet, target: int, seed: int) -> Made:
    """Interpolate between a face near another emotion and one of its own: borderline-SMOTE 1 (Han et al., 2005).

    Neighbours are searched in the principal components of the pixels. The pixels of the two faces are interpolated in
    float32, so the result lies between them. If no face of an emotion is near another emotion, any of its faces are
    interpolated (SMOTE, Chawla et al., 2002).
    """
    counts = np.bincount(faces.labels, minlength=len(faces.classes))
    scarce = [label for label in range(len(faces.classes)) if counts[label] < target]
    if scarce and (fewest := min(int(counts[label]) for label in scarce)) < 2:
        raise DataError(f"{faces.classes[int(counts.argmin())]} has a single face; interpolation needs at least two")
    firsts, seconds, steps = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    if scarce:
        compact = _compact(faces, seed)
        around = NearestNeighbors(n_neighbors=min(_SURROUNDINGS, len(faces) - 1) + 1).fit(compact)
    for label in scarce:
        own = np.flatnonzero(faces.labels == label)
        near = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, fewest - 1) + 1).fit(compact[own])  # first: the face
        strangers = faces.labels[around.kneighbors(compact[own], return_distance=False)[:, 1:]] != label
        others = strangers.sum(axis=1)
        danger = (others >= strangers.shape[1] / 2) & (others < strangers.shape[1])
        some = own[danger] if danger.any() else own
        neighbours = own[near.kneighbors(compact[some], return_distance=False)[:, 1:]]  # [S, K]
        rng = np.random.RandomState(seed)  # same generator and drawing order as imbalanced-learn
        drawn = rng.randint(0, neighbours.size, size=target - len(own))
        steps.append(rng.uniform(size=len(drawn)))
        firsts.append(some[drawn // neighbours.shape[1]])
        seconds.append(neighbours.reshape(-1)[drawn])
    recipes = np.concatenate(firsts), np.concatenate(seconds), np.concatenate(steps)
    return Made.of_recipes(faces.labels[recipes[0]], partial(_between, faces.images, *recipes))


def _between(
    images: Pixels, firsts: NDArray[np.int64], seconds: NDArray[np.int64], steps: NDArray[np.float64], some: slice
) -> Pixels:
    """Interpolate between pairs of faces: uint8 [B, H, W(, 3)]."""
    start, end = (images[ends[some]].astype(np.float32) for ends in (firsts, seconds))
    way = steps[some].astype(np.float32).reshape(-1, *[1] * (images.ndim - 1))  # [B] -> [B, 1, 1(, 1)]
    return np.asarray(np.rint(start + way * (end - start)).clip(0, 255), np.uint8)


def _compact(faces: FaceSet, seed: int) -> NDArray[np.float32]:
    """Compute principal components of the pixels, float32 [N, C], of small grey versions of the faces."""
    images: Sequence[Pixels] | Pixels = faces.images
    if max(faces.images.shape[1:3]) > _COMPACT_SIDE or faces.images.ndim == 4:
        side = min(_COMPACT_SIDE, *faces.images.shape[1:3])
        images = [resize(to_grey(image) if image.ndim == 3 else image, side) for image in faces.images]
    pixels = np.asarray(images).reshape(len(faces), -1).astype(np.float32)  # [N, H, W] -> [N, H * W]
    components = PCA(min(COMPONENTS, *pixels.shape), svd_solver="randomized", random_state=seed, copy=False)
    return np.asarray(components.fit_transform(pixels), np.float32)


def _augment(faces: FaceSet, target: int, seed: int) -> Made:
    """Mirror, rotate, shift and re-light faces, see :func:`cmaen.data.augmentation.augment`; nothing is hidden."""
    rng = np.random.default_rng(seed)
    owns = [np.flatnonzero(faces.labels == label) for label in range(len(faces.classes))]
    chosen = np.concatenate([np.resize(rng.permutation(own), target - len(own)) for own in owns])  # equally often

    def alter(some: slice) -> Pixels:
        part = torch.from_numpy(faces.images[chosen[some]])
        seeds = np.random.SeedSequence((seed, some.start)).generate_state(1)
        generator = torch.Generator().manual_seed(int(seeds[0]))
        images = augment(part, part.shape[1], generator, erase=0.0).round()  # [B, S, S(, 3)] -> [B, 1 or 3, S, S]
        return np.asarray(images.permute(0, 2, 3, 1).numpy().reshape(part.shape), np.uint8)

    return Made.of_recipes(faces.labels[chosen], alter)


METHODS: dict[str, Maker] = {"borderline-smote": _borderline_smote, "augment": _augment}
"""The methods of making faces, by name."""
