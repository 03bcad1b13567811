"""Giving every emotion the same number of faces: surplus faces are left out, missing ones are made (in Training alone).

Made faces are recipes of a few numbers each; their pixels are computed block by block while they are written, and the
faces that they are made of may be in a file. Memory holds the faces' features and small grey versions of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from cmaen.data.augmentation import augment
from cmaen.data.splits import FaceSet, Split
from cmaen.data.stored import Images
from cmaen.errors import ConfigError, DataError
from cmaen.preprocessing import resize, to_grey

COMPONENTS = 64
"""Dimensions of the compact space in which neighbours are searched."""
BLOCK = 64
"""Number of made faces whose pixels are in memory at a time."""
MIN_LIKENESS = 0.9
"""Least correlation of two faces at 48 grey pixels for a face to be interpolated between them.

Half-way between less similar ones, two faces are seen, one through the other: at 0.5 to 0.6 in most of FER2013's, at
0.8 to 0.85 still in some, from 0.9 in none (sheets of pairs in steps of 0.05 were looked at).
"""
PIXELS = "pixels"
"""Where neighbours are searched without a network: in the principal components of the pixels."""
_COMPACT_SIDE = 48
"""Side in pixels to which larger faces are reduced, without colour, to be compared."""
_NEIGHBOURS = 5
_SURROUNDINGS = 10

Pixels = NDArray[np.uint8]


class Features(NamedTuple):
    """Features of faces, in which neighbours are searched.

    Attributes:
        name: Name of the network that computes them.
        compute: Computes them, float32 [B, F], of faces uint8 [H, W] or [H, W, 3], such as ``features_of`` of
            :class:`cmaen.inference.classifier.FaceClassifier`.
    """

    name: str
    compute: Callable[[Sequence[Pixels]], NDArray[np.float32]]


@dataclass(frozen=True)
class Made:
    """Recipes of faces to be made.

    Attributes:
        labels: int64 [N], sorted by class.
        altered: Whether each is an altered copy of one face, and not interpolated between two, bool [N].
        block: Returns the images of the n-th :data:`BLOCK` of them, uint8 [B, H, W(, 3)], always the same ones.
    """

    labels: NDArray[np.int64]
    altered: NDArray[np.bool_]
    block: Callable[[int], Pixels]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of_recipes(cls, labels: NDArray[np.int64], altered: NDArray[np.bool_], cook: Callable[[slice], Pixels]) -> Made:
        """Build from a function that makes the faces of a range of recipes."""
        return cls(labels, altered, lambda number: cook(slice(number * BLOCK, (number + 1) * BLOCK)))


Maker = Callable[[FaceSet, int, int, "Features | None"], Made]
"""(faces, target, seed, features) -> the additional faces that bring every emotion to ``target``."""


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
        """Count the faces of each emotion: before, after, how many of the latter were made, and as altered copies."""
        classes = self.kept.classes
        made, altered = (
            dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
            for labels in (self.made.labels, self.made.labels[self.made.altered])
        )
        after = {name: count + made[name] for name, count in self.kept.counts().items()}
        return {"before": self.before, "after": after, "synthetic": made, "altered": altered}


def balance(faces: FaceSet, *, target: int, method: str, seed: int, features: Features | None = None) -> Balanced:
    """Give every emotion ``target`` faces.

    Args:
        faces: The faces of Training.
        target: Number of faces of each emotion; the paper's is 7,000.
        method: One of :data:`METHODS`.
        seed: Random seed.
        features: Where borderline-smote searches neighbours; ``None``: in :data:`PIXELS`.

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
    return Balanced(kept, METHODS[method](kept, target, seed, features), method, before)


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


def _borderline_smote(faces: FaceSet, target: int, seed: int, features: Features | None) -> Made:
    """Interpolate between a face near another emotion and one of its own: borderline-SMOTE 1 (Han et al., 2005).

    Neighbours are searched among the features of a network, or in the principal components of the pixels. The pixels of
    the two faces are interpolated in float32, so the result lies between them. If no face of an emotion is near another
    emotion, any of its faces are interpolated (SMOTE, Chawla et al., 2002). A face none of whose neighbours is as much
    like it as :data:`MIN_LIKENESS` is altered instead, as by the method ``augment``.
    """
    counts = np.bincount(faces.labels, minlength=len(faces.classes))
    scarce = [label for label in range(len(faces.classes)) if counts[label] < target]
    if scarce and (fewest := min(int(counts[label]) for label in scarce)) < 2:
        raise DataError(f"{faces.classes[int(counts.argmin())]} has a single face; interpolation needs at least two")
    firsts, seconds, steps = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    if scarce:
        small = _shrink(faces.images)
        compact = _compact(_describe(faces.images, small, features), seed)
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
        seconds.append(_among_like(small, some, neighbours)[drawn // neighbours.shape[1], drawn % neighbours.shape[1]])
    recipes = np.concatenate(firsts), np.concatenate(seconds), np.concatenate(steps)
    altered = recipes[1] < 0
    return Made.of_recipes(faces.labels[recipes[0]], altered, partial(_between, faces.images, *recipes, seed))


def _among_like(small: Pixels, faces: NDArray[np.int64], neighbours: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace each neighbour of a face, int64 [S, K], that is not like it by one that is, or by -1 if there is none."""
    chosen = np.full_like(neighbours, -1)
    for row, (face, others) in enumerate(zip(faces.tolist(), neighbours, strict=True)):
        pair = _standardise(small[np.append(face, others)])  # [1 + K, P]
        like = others[pair[1:] @ pair[0] >= MIN_LIKENESS]
        if len(like):
            chosen[row] = np.resize(like, len(others))
    return chosen


def _standardise(images: Pixels) -> NDArray[np.float32]:
    """Scale images to mean 0 and length 1, float32 [B, P]: their products are correlations. Flat ones become 0."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.divide(flat, length, out=np.zeros_like(flat), where=length > 1e-3), np.float32)


def _between(
    images: Images,
    firsts: NDArray[np.int64],
    seconds: NDArray[np.int64],
    steps: NDArray[np.float64],
    seed: int,
    some: slice,
) -> Pixels:
    """Interpolate between pairs of faces, and alter those without a second: uint8 [B, H, W(, 3)]."""
    made: Pixels = images[firsts[some]]
    alone = seconds[some] < 0
    start, end = made[~alone].astype(np.float32), images[seconds[some][~alone]].astype(np.float32)
    way = steps[some][~alone].astype(np.float32).reshape(-1, *[1] * (images.ndim - 1))  # [B] -> [B, 1, 1(, 1)]
    made[~alone] = np.rint(start + way * (end - start)).clip(0, 255)
    if alone.any():
        made[alone] = _alter(made[alone], seed, some.start)
    return made


def _shrink(images: Images) -> Pixels:
    """Reduce faces to at most 48 grey pixels, uint8 [N, S, S]."""
    side = min(_COMPACT_SIDE, *images.shape[1:3])
    if images.ndim == 3 and images.shape[1:] == (side, side):
        return np.asarray(images)
    small = np.empty((len(images), side, side), np.uint8)
    for place, image in zip(small, images, strict=True):
        place[:] = resize(to_grey(image) if image.ndim == 3 else image, side)
    return small


def _describe(images: Images, small: Pixels, features: Features | None) -> NDArray[np.float32]:
    """Compute the features of faces, float32 [N, F], or return the pixels of their small versions."""
    if features is None:
        return small.reshape(len(small), -1).astype(np.float32)  # [N, S, S] -> [N, S * S]
    parts = [features.compute(list(images[start : start + BLOCK])) for start in range(0, len(images), BLOCK)]
    return np.concatenate(parts)


def _compact(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Compute principal components of features, float32 [N, C]; the features are overwritten."""
    components = PCA(min(COMPONENTS, *features.shape), svd_solver="randomized", random_state=seed, copy=False)
    return np.asarray(components.fit_transform(features), np.float32)


def _augment(faces: FaceSet, target: int, seed: int, _: Features | None) -> Made:
    """Mirror, rotate, shift and re-light faces, see :func:`cmaen.data.augmentation.augment`; nothing is hidden."""
    rng = np.random.default_rng(seed)
    owns = [np.flatnonzero(faces.labels == label) for label in range(len(faces.classes))]
    chosen = np.concatenate([np.resize(rng.permutation(own), target - len(own)) for own in owns])  # equally often
    labels = faces.labels[chosen]
    return Made.of_recipes(
        labels, np.ones(len(labels), bool), lambda some: _alter(faces.images[chosen[some]], seed, some.start)
    )


def _alter(images: Pixels, seed: int, start: int) -> Pixels:
    """Alter the faces of a block, uint8 [B, H, W(, 3)]; it is known by the number of its first recipe."""
    seeds = np.random.SeedSequence((seed, start)).generate_state(1)
    generator = torch.Generator().manual_seed(int(seeds[0]))
    part = torch.from_numpy(images)
    altered = augment(part, part.shape[1], generator, erase=0.0).round()  # [B, S, S(, 3)] -> [B, 1 or 3, S, S]
    return np.asarray(altered.permute(0, 2, 3, 1).numpy().reshape(part.shape), np.uint8)


METHODS: dict[str, Maker] = {"borderline-smote": _borderline_smote, "augment": _augment}
"""The methods of making faces, by name."""
