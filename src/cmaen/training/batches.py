"""Batches from faces in memory. Training is augmented, validation never is, and both end in the same PreprocessSpec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cmaen.data.augmentation import augment
from cmaen.data.ferplus import vote_distribution
from cmaen.data.splits import FaceSet, Split
from cmaen.preprocessing import PreprocessSpec


class Batch(NamedTuple):
    """images float32 [B, 3, H, W], labels int64 [B], votes float32 [B, E]: the annotators' distribution."""

    images: Tensor
    labels: Tensor
    votes: Tensor


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
    """Makes whole batches of a set: ``dataset[picks]``."""

    def __init__(self, faces: FaceSet, spec: PreprocessSpec, *, augmented: bool) -> None:
        if augmented:
            faces.require(Split.TRAIN, "augmentation")
        self.images = torch.from_numpy(faces.images)
        self.labels = torch.from_numpy(faces.labels)
        self.votes = torch.from_numpy(vote_distribution(faces))
        self.spec = spec
        self.augmented = augmented

    def __getitem__(self, picks: Picks) -> Batch:
        images = self.images[picks.indices]
        if self.augmented:
            generator = torch.Generator().manual_seed(picks.seed)
            pixels = self.spec.normalise(augment(images, self.spec.image_size, generator).numpy())
        else:
            pixels = self.spec(list(images.numpy()))
        return Batch(torch.from_numpy(pixels), self.labels[picks.indices], self.votes[picks.indices])


def train_loader(
    faces: FaceSet, spec: PreprocessSpec, *, batch_size: int, seed: int, augmented: bool
) -> DataLoader[Batch]:
    """Shuffled batches of Training.

    Raises:
        SplitError: The faces are of another split.
    """
    faces.require(Split.TRAIN, "training")
    picks = ShuffledPicks(len(faces), batch_size, seed)
    return DataLoader(FaceBatches(faces, spec, augmented=augmented), sampler=picks, batch_size=None)


def validation_loader(faces: FaceSet, spec: PreprocessSpec, *, batch_size: int = 256) -> DataLoader[Batch]:
    """Batches of the validation split, as they are.

    Raises:
        SplitError: The faces are of another split.
    """
    faces.require(Split.VALIDATION, "validation")
    dataset = FaceBatches(faces, spec, augmented=False)
    return DataLoader(dataset, sampler=InOrder(len(faces), batch_size), batch_size=None)
