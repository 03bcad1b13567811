"""As many faces of every emotion: what is too much is left out, what is missing is made (of Training alone).

Made faces are held as recipes, a few numbers each; their pixels come into being a block at a time, as they are written.
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
"""Of the compact space that neighbours are looked for in."""
BLOCK = 64
"""Made faces whose pixels are there at a time."""
_COMPACT_SIDE = 48
"""Larger faces are reduced to this side, and their colour is dropped, before neighbours are looked for."""
_NEIGHBOURS = 5
_SURROUNDINGS = 10

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Made:
    """Faces that are to be made.

    Attributes:
        labels: int64 [N], the classes in their order.
        block: Gives the images of the n-th :data:`BLOCK` of them, uint8 [B, H, W(, 3)], always the same ones.
    """

    labels: NDArray[np.int64]
    block: Callable[[int], Pixels]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of_recipes(cls, labels: NDArray[np.int64], cook: Callable[[slice], Pixels]) -> Made:
        """Those that a function makes of a range of recipes."""
        return cls(labels, lambda number: cook(slice(number * BLOCK, (number + 1) * BLOCK)))


Maker = Callable[[FaceSet, int, int], Made]
"""(faces, target, seed) -> faces to be added, so that every emotion has ``target``."""


@dataclass(frozen=True)
class Balanced:
    """A balanced set.

    Attributes:
        kept: Faces of Training as they were.
        made: Those that are added.
        method: How.
        before: How many faces each emotion had.
    """

    kept: FaceSet
    made: Made
    method: str
    before: dict[str, int]

    def __len__(self) -> int:
        return len(self.kept) + len(self.made)

    def blocks(self) -> Iterator[FaceSet]:
        """All faces, some at a time: those that were kept, then those that are made."""
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
        """All of them at once, in memory."""
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
        """Which were made, bool [N]."""
        return np.arange(len(self)) >= len(self.kept)

    def stats(self) -> dict[str, Any]:
        """Counts by emotion: before, after, and how many of these were made."""
        classes = self.kept.classes
        made = dict(zip(classes, np.bincount(self.made.labels, minlength=len(classes)).tolist(), strict=True))
        after = {name: count + made[name] for name, count in self.kept.counts().items()}
        return {"before": self.before, "after": after, "synthetic": made}


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
    kept = _reduce(faces, target, seed)
    return Balanced(kept, METHODS[method](kept, target, seed), method, before)


def shares(faces: FaceSet) -> dict[str, float]:
    """How often each face of an emotion is to be drawn against the others, so that all emotions come as often."""
    counts = faces.counts()
    return {name: len(faces) / (len(counts) * count) if count else 0.0 for name, count in counts.items()}


def sheet(balanced: Balanced, columns: int = 16) -> Pixels:
    """Made faces to look at, a row a class: uint8 [C H, columns W] or [..., 3], black where there are no more."""
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
    """At most ``target`` of each emotion, drawn at random, in their order."""
    rng = np.random.default_rng(seed)
    kept = [rng.permutation(np.flatnonzero(faces.labels == label))[:target] for label in range(len(faces.classes))]
    return faces.select(np.sort(np.concatenate(kept)))


def _borderline_smote(faces: FaceSet, target: int, seed: int) -> Made:
    """BorderlineSMOTE (Han et al., 2005; borderline-1): between a face near another emotion and one of its own.

    Neighbours are those in the principal components of the pixels; what is interpolated is the pixels of the two faces,
    in float32, so that the result lies between them. An emotion none of whose faces is near another is interpolated
    anywhere (SMOTE, Chawla et al., 2002).
    """
    counts = np.bincount(faces.labels, minlength=len(faces.classes))
    scarce = [label for label in range(len(faces.classes)) if counts[label] < target]
    if scarce and (fewest := min(int(counts[label]) for label in scarce)) < 2:
        raise DataError(f"{faces.classes[int(counts.argmin())]} has a single face, and two are needed to interpolate")
    firsts, seconds, steps = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    if scarce:
        compact = _compact(faces, seed)
        around = NearestNeighbors(n_neighbors=min(_SURROUNDINGS, len(faces) - 1) + 1).fit(compact)
    for label in scarce:
        own = np.flatnonzero(faces.labels == label)
        near = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, fewest - 1) + 1).fit(compact[own])  # the first is itself
        strangers = faces.labels[around.kneighbors(compact[own], return_distance=False)[:, 1:]] != label
        others = strangers.sum(axis=1)
        danger = (others >= strangers.shape[1] / 2) & (others < strangers.shape[1])
        some = own[danger] if danger.any() else own
        neighbours = own[near.kneighbors(compact[some], return_distance=False)[:, 1:]]  # [S, K]
        rng = np.random.RandomState(seed)  # and its order of drawing: those of imbalanced-learn
        drawn = rng.randint(0, neighbours.size, size=target - len(own))
        steps.append(rng.uniform(size=len(drawn)))
        firsts.append(some[drawn // neighbours.shape[1]])
        seconds.append(neighbours.reshape(-1)[drawn])
    recipes = np.concatenate(firsts), np.concatenate(seconds), np.concatenate(steps)
    return Made.of_recipes(faces.labels[recipes[0]], partial(_between, faces.images, *recipes))


def _between(
    images: Pixels, firsts: NDArray[np.int64], seconds: NDArray[np.int64], steps: NDArray[np.float64], some: slice
) -> Pixels:
    """Faces on the way from one to another: uint8 [B, H, W(, 3)]."""
    start, end = (images[ends[some]].astype(np.float32) for ends in (firsts, seconds))
    way = steps[some].astype(np.float32).reshape(-1, *[1] * (images.ndim - 1))  # [B] -> [B, 1, 1(, 1)]
    return np.asarray(np.rint(start + way * (end - start)).clip(0, 255), np.uint8)


def _compact(faces: FaceSet, seed: int) -> NDArray[np.float32]:
    """Principal components of the pixels, float32 [N, C]; of large faces and of those in colour, of small grey ones."""
    images: Sequence[Pixels] | Pixels = faces.images
    if max(faces.images.shape[1:3]) > _COMPACT_SIDE or faces.images.ndim == 4:
        side = min(_COMPACT_SIDE, *faces.images.shape[1:3])
        images = [resize(to_grey(image) if image.ndim == 3 else image, side) for image in faces.images]
    pixels = np.asarray(images).reshape(len(faces), -1).astype(np.float32)  # [N, H, W] -> [N, H * W]
    components = PCA(min(COMPONENTS, *pixels.shape), svd_solver="randomized", random_state=seed, copy=False)
    return np.asarray(components.fit_transform(pixels), np.float32)


def _augment(faces: FaceSet, target: int, seed: int) -> Made:
    """Faces mirrored, turned, moved and re-lit, see :func:`cmaen.data.augmentation.augment`; nothing is hidden."""
    rng = np.random.default_rng(seed)
    owns = [np.flatnonzero(faces.labels == label) for label in range(len(faces.classes))]
    chosen = np.concatenate([np.resize(rng.permutation(own), target - len(own)) for own in owns])  # each as often

    def alter(some: slice) -> Pixels:
        part = torch.from_numpy(faces.images[chosen[some]])
        seeds = np.random.SeedSequence((seed, some.start)).generate_state(1)
        generator = torch.Generator().manual_seed(int(seeds[0]))
        images = augment(part, part.shape[1], generator, erase=0.0).round()  # [B, S, S(, 3)] -> [B, 1 or 3, S, S]
        return np.asarray(images.permute(0, 2, 3, 1).numpy().reshape(part.shape), np.uint8)

    return Made.of_recipes(faces.labels[chosen], alter)


METHODS: dict[str, Maker] = {"borderline-smote": _borderline_smote, "augment": _augment}
"""Ways of making faces, by name."""
