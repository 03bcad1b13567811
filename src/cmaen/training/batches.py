"""Batches of faces. Only training batches are augmented; PreprocessSpec prepares both kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cmaen.data.augmentation import AugmentSpec, augment, rand_augment, reduce_sources
from cmaen.data.mixing import mix
from cmaen.data.splits import FaceSet, Split
from cmaen.data.stored import Images, StoredImages
from cmaen.losses import soft_targets
from cmaen.preprocessing import PreprocessSpec, resize

_CPU = torch.device("cpu")


class Batch(NamedTuple):
    """A batch of faces and its training targets.

    Attributes:
        images: float32 [B, 3, H, W]; before preprocessing, uint8 [B, H, W] or [B, H, W, 3].
        labels: int64 [B].
        targets: float32 [B, E], rows summing to 1: the labels, with the votes mixed in.
        answers: The teachers' probabilities, same shape; 0 for a face that no teacher has answered; ``None`` without
            teachers.
        perceived: The annotators' votes, float32 [B, P], see :func:`cmaen.losses.perceived_loss`; ``None`` without
            votes.
    """

    images: Tensor
    labels: Tensor
    targets: Tensor
    answers: Tensor | None = None
    perceived: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Apply a function to every part that is not ``None``."""
        return Batch(*(None if part is None else change(part) for part in self))  # type: ignore[arg-type]

    def join(self, other: Batch) -> Batch:
        """Concatenate two batches that have the same parts."""
        both = zip(self, other, strict=True)
        return Batch(*(None if own is None else torch.cat([own, more]) for own, more in both))  # type: ignore[arg-type,list-item]


class Picks(NamedTuple):
    """Indices of the faces of a batch, and its random seed."""

    indices: Tensor
    seed: int


class Place(NamedTuple):
    """The rank of this process among the processes of a distributed run."""

    rank: int
    processes: int

    @classmethod
    def here(cls) -> Place:
        """Return the place that torch.distributed reports; rank 0 of 1 if nothing is distributed."""
        distributed = dist.is_available() and dist.is_initialized()
        return cls(dist.get_rank(), dist.get_world_size()) if distributed else cls(0, 1)

    def share(self, indices: Tensor) -> Tensor:
        """Return this process's share of indices [N]: every n-th one."""
        return indices[self.rank :: self.processes]


def derive_seed(*parts: int) -> int:
    """Derive a seed that depends on these numbers alone, such as the run's seed and the epoch."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 2)


class ShuffledPicks(Sampler[Picks]):
    """A sampler whose order depends on the seed and the epoch alone, so that a resumed run continues identically.

    Each batch is divided evenly among the processes of the run. The last, smaller batch is dropped.

    Args:
        count: Number of faces.
        batch_size: Faces in a batch, over all processes.
        seed: Random seed of the run.
        weights: Relative probability of drawing each face, float32 [N]; ``None``: each face once per epoch.
    """

    def __init__(self, count: int, batch_size: int, seed: int, weights: Tensor | None = None) -> None:
        self.count = count
        self.weights = weights
        self.batch_size = min(batch_size, count)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this at the start of each one."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // self.batch_size

    def __iter__(self) -> Iterator[Picks]:
        place = Place.here()
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        if self.weights is None:
            order = torch.randperm(self.count, generator=generator)
        else:
            order = torch.multinomial(self.weights, self.count, replacement=True, generator=generator)
        for number, indices in enumerate(torch.split(order, self.batch_size)[: len(self)]):
            yield Picks(place.share(indices), derive_seed(self.seed, self.epoch, number, place.rank))


class InOrder(Sampler[Picks]):
    """A sampler of all faces in their order, divided among the processes of the run."""

    def __init__(self, count: int, batch_size: int) -> None:
        self.count = count
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self._share()) // self.batch_size)

    def __iter__(self) -> Iterator[Picks]:
        for indices in torch.split(self._share(), self.batch_size):
            yield Picks(indices, seed=0)

    def _share(self) -> Tensor:
        return Place.here().share(torch.arange(self.count))


class FaceBatches(Dataset[Batch]):
    """A dataset of whole batches: ``dataset[picks]``.

    Args:
        faces: The faces. Those in a file are read from it batch by batch.
        spec: Preprocessing of the network.
        targets: Targets of all faces, see :class:`Batch`; default: the labels.
        answers: The teachers' answers, if there are any.
        perceived: See :class:`Batch`.
        augmentation: Augmentation, for Training only; ``None`` leaves the faces unchanged.
        device: Device that keeps the faces in memory, as uint8, and augments all. The first batch moves them there, in
            the training process and onto its GPU.
    """

    def __init__(
        self,
        faces: FaceSet,
        spec: PreprocessSpec,
        *,
        targets: Tensor | None = None,
        answers: Tensor | None = None,
        perceived: Tensor | None = None,
        augmentation: AugmentSpec | None = None,
        device: torch.device = _CPU,
    ) -> None:
        if augmentation is not None:
            faces.require(Split.TRAIN, "training")
        self.stored = faces.images if isinstance(faces.images, StoredImages) else None
        images = np.empty((len(faces), 0), np.uint8) if self.stored is not None else _reduce(faces.images, spec)
        labels = torch.from_numpy(faces.labels)
        targets = soft_targets(labels, len(faces.classes)) if targets is None else targets
        self.faces = Batch(torch.from_numpy(images), labels, targets, answers, perceived)
        self.spec = spec
        self.augmentation = augmentation
        self.device = device

    def __getitem__(self, picks: Picks) -> Batch:
        self.faces = self.faces.each(lambda part: part.to(self.device))  # no-op once they are there
        indices = picks.indices.to(self.device)
        images, labels, targets, answers, perceived = self.faces.each(lambda part: part[indices])
        if self.stored is not None:
            images = torch.from_numpy(_reduce(self.stored[picks.indices.cpu().numpy()], self.spec)).to(self.device)
        if self.augmentation is None or not self.augmentation.vary:
            pixels = torch.from_numpy(self.spec(list(images.cpu().numpy()))).to(self.device)
        else:
            pixels = self.vary(images, torch.Generator().manual_seed(picks.seed))
        if self.augmentation is not None:
            rng = np.random.default_rng(picks.seed)
            pixels, (targets, answers, perceived) = mix(
                pixels,
                (targets, answers, perceived),
                rng,
                mixup=self.augmentation.mixup,
                cutmix=self.augmentation.cutmix,
            )
        return Batch(pixels, labels, targets, answers, perceived)

    def vary(self, images: Tensor, generator: torch.Generator, *, sides: tuple[int, int] | None = None) -> Tensor:
        """Convert faces uint8 [B, H, W] or [B, H, W, 3] to network input, with random augmentation.

        Args:
            images: Faces on the device.
            generator: The source of all randomness, on the CPU.
            sides: Range of sides in pixels; each face is first reduced to a random one of them.
        """
        assert self.augmentation is not None
        pixels = augment(images, self.spec.image_size, generator)
        if sides is not None:
            pixels = reduce_sources(pixels, generator, sides)
        pixels = rand_augment(pixels, generator, self.augmentation.operations, self.augmentation.magnitude)
        scale, shift = (torch.from_numpy(values).to(self.device) for values in self.spec.scale_and_shift)
        return pixels * scale + shift


def _reduce(images: Images, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Reduce larger images to the detail that the network may see, as the predictor does."""
    if spec.source_size is None or min(images.shape[1:3]) <= spec.source_size:
        return np.asarray(images)
    return np.stack([resize(image, spec.source_size) for image in images])


class Unlabelled(NamedTuple):
    """Faces without labels, answered by a teacher.

    Attributes:
        images: uint8 [M, H, W], larger than those of the data set.
        answers: The teacher's probabilities under the first label scheme, float32 [M, E].
        perceived: The same under ``perceived``, float32 [M, P]; ``None`` if that scheme is not trained.
        sides: Range of sides in pixels to which the faces are randomly reduced, see
            :func:`cmaen.data.augmentation.reduce_sources`.
    """

    images: Tensor
    answers: Tensor
    perceived: Tensor | None
    sides: tuple[int, int]


class WithUnlabelled(Dataset[Batch]):
    """Batches of labelled faces, joined by unlabelled ones in proportion to the sizes of the two sets."""

    def __init__(self, labelled: FaceBatches, unlabelled: Unlabelled) -> None:
        images, answers, perceived, self.sides = unlabelled
        taught = None if labelled.faces.answers is None else answers
        self.labelled = labelled
        self.faces = Batch(images, answers.argmax(dim=1), answers, taught, perceived)

    def __getitem__(self, picks: Picks) -> Batch:
        first = self.labelled[picks]
        seed = derive_seed(picks.seed)
        generator = torch.Generator().manual_seed(seed)
        count = max(1, round(len(picks.indices) * len(self.faces.labels) / len(self.labelled.faces.labels)))
        drawn = torch.randint(len(self.faces.labels), (count,), generator=generator)
        some = self.faces.each(lambda part: part[drawn].to(self.labelled.device))
        pixels = self.labelled.vary(some.images, generator, sides=self.sides)
        return first.join(some._replace(images=pixels))


def train_loader(
    faces: FaceSet,
    spec: PreprocessSpec,
    augmentation: AugmentSpec,
    *,
    batch_size: int,
    seed: int,
    targets: Tensor | None = None,
    answers: Tensor | None = None,
    perceived: Tensor | None = None,
    unlabelled: Unlabelled | None = None,
    device: torch.device = _CPU,
) -> DataLoader[Batch]:
    """Build a loader of shuffled training batches; ``batch_size`` counts the faces of all processes.

    With ``augmentation.weighted`` all emotions are drawn equally often: faces of rare emotions several times in an
    epoch, some faces of the others not at all.
    See :class:`FaceBatches` for the other arguments.

    Raises:
        SplitError: The faces belong to another split.
    """
    weights = torch.from_numpy(1 / np.bincount(faces.labels)[faces.labels]).float() if augmentation.weighted else None
    picks = ShuffledPicks(len(faces), batch_size, seed, weights)
    batches = FaceBatches(
        faces, spec, targets=targets, answers=answers, perceived=perceived, augmentation=augmentation, device=device
    )
    whole = batches if unlabelled is None else WithUnlabelled(batches, unlabelled)
    return DataLoader(whole, sampler=picks, batch_size=None)


def validation_loader(
    faces: FaceSet, spec: PreprocessSpec, *, batch_size: int = 256, perceived: Tensor | None = None
) -> DataLoader[Batch]:
    """Build a loader of validation batches, without augmentation.

    Raises:
        SplitError: The faces belong to another split.
    """
    faces.require(Split.VALIDATION, "validation")
    batches = FaceBatches(faces, spec, perceived=perceived)
    return DataLoader(batches, sampler=InOrder(len(faces), batch_size), batch_size=None)
