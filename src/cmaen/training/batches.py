"""Batches from faces in memory. Training is augmented, validation never is, and both end in the same PreprocessSpec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cmaen.data.augmentation import augment
from cmaen.data.ferplus import vote_distribution
from cmaen.data.mixing import mix
from cmaen.data.splits import FaceSet, Split
from cmaen.losses import soft_targets
from cmaen.preprocessing import PreprocessSpec


class Batch(NamedTuple):
    """images float32 [B, 3, H, W], labels int64 [B], targets float32 [B, E]: what is learnt, rows summing to 1."""

    images: Tensor
    labels: Tensor
    targets: Tensor


@dataclass(frozen=True, slots=True)
class Regime:
    """What is done to the faces of Training before they are learnt.

    Attributes:
        augmented: Whether they are augmented, see :func:`cmaen.data.augmentation.augment`.
        vote_weight: Part of the target that the FER+ votes give.
        mixup, cutmix: See :func:`cmaen.data.mixing.mix`.
    """

    augmented: bool = True
    vote_weight: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0


class Picks(NamedTuple):
    """Which faces make a batch, and the seed of what is random in it."""

    indices: Tensor
    seed: int


class ShuffledPicks(Sampler[Picks]):
    """Every epoch has an order of its own, by the seed and the epoch alone, so a resumed run goes on alike.

    The last, smaller batch of an epoch is dropped.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.count = count
        self.batch_size = min(batch_size, count)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // self.batch_size

    def __iter__(self) -> Iterator[Picks]:
        generator = torch.Generator().manual_seed(hash((self.seed, self.epoch)) % 2**63)
        order = torch.randperm(self.count, generator=generator)
        seeds = torch.randint(2**62, (len(self),), generator=generator).tolist()
        for number, seed in enumerate(seeds):
            yield Picks(order[number * self.batch_size : (number + 1) * self.batch_size], seed)


class InOrder(Sampler[Picks]):
    """All faces, in their order."""

    def __init__(self, count: int, batch_size: int) -> None:
        self.count = count
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def __iter__(self) -> Iterator[Picks]:
        for indices in torch.split(torch.arange(self.count), self.batch_size):
            yield Picks(indices, seed=0)


class FaceBatches(Dataset[Batch]):
    """Makes whole batches of a set: ``dataset[picks]``.

    Args:
        faces: In memory.
        spec: Of the network.
        regime: For Training only; ``None`` leaves the faces and their labels as they are.
    """

    def __init__(self, faces: FaceSet, spec: PreprocessSpec, regime: Regime | None = None) -> None:
        if regime is not None:
            faces.require(Split.TRAIN, "training")
        self.images = torch.from_numpy(faces.images)
        self.labels = torch.from_numpy(faces.labels)
        votes = torch.from_numpy(vote_distribution(faces))
        self.targets = soft_targets(self.labels, votes, regime.vote_weight if regime else 0.0)
        self.spec = spec
        self.regime = regime

    def __getitem__(self, picks: Picks) -> Batch:
        images, labels, targets = (part[picks.indices] for part in (self.images, self.labels, self.targets))
        if self.regime is None or not self.regime.augmented:
            pixels = torch.from_numpy(self.spec(list(images.numpy())))
        else:
            generator = torch.Generator().manual_seed(picks.seed)
            augmented = augment(images, self.spec.image_size, generator)
            pixels = torch.from_numpy(self.spec.normalise(augmented.numpy()))
        if self.regime is not None:
            rng = np.random.default_rng(picks.seed)
            pixels, targets = mix(pixels, targets, rng, mixup=self.regime.mixup, cutmix=self.regime.cutmix)
        return Batch(pixels, labels, targets)


def train_loader(
    faces: FaceSet, spec: PreprocessSpec, regime: Regime, *, batch_size: int, seed: int
) -> DataLoader[Batch]:
    """Shuffled batches of Training.

    Raises:
        SplitError: The faces are of another split.
    """
    picks = ShuffledPicks(len(faces), batch_size, seed)
    return DataLoader(FaceBatches(faces, spec, regime), sampler=picks, batch_size=None)


def validation_loader(faces: FaceSet, spec: PreprocessSpec, *, batch_size: int = 256) -> DataLoader[Batch]:
    """Batches of the validation split, as they are.

    Raises:
        SplitError: The faces are of another split.
    """
    faces.require(Split.VALIDATION, "validation")
    return DataLoader(FaceBatches(faces, spec), sampler=InOrder(len(faces), batch_size), batch_size=None)
