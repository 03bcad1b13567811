"""Training the compact detector on composites: what each place shall say, the loss, and the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler
from torchvision.ops import box_convert, generalized_box_iou_loss, nms

from cmaen.config import DetectorConfig
from cmaen.data.composites import Composite, Photographs, compose, load_photographs
from cmaen.evaluation.detection import average_precision, match
from cmaen.files import replacing, write_text
from cmaen.models.detector import STRIDES, CompactDetector, Detections, places
from cmaen.training.batches import Place, derived_seed
from cmaen.training.loop import BEST, check_run, fit, optimisation_of
from cmaen.training.optimisation import Optimisation
from cmaen.types import FaceBox, Image

WEIGHTS = "detector.safetensors"
_LIMITS = (0.0, 40.0, 96.0, float("inf"))
"""Sizes of the faces that each stride answers for, in pixels."""
_CENTRAL = 0.25
_BETWEEN = 1.3
_MARKS = 0.05
_KEPT = 100

log = logging.getLogger(__name__)


class Targets(NamedTuple):
    """What each of N places shall say.

    Attributes:
        face: 1 for a face, 0 for none, -1 where both are right, float32 [N].
        boxes: x, y, width, height in pixels where there is a face, float32 [N, 4].
        landmarks: In pixels where there is a face, float32 [N, 5, 2].
    """

    face: Tensor
    boxes: Tensor
    landmarks: Tensor


def assign(composite: Composite) -> Targets:
    """Each face to the places in its middle on the map that its size is for, and at least to the nearest of them.

    The neighbouring map may answer too where the size is near the limit, and where the composite says so.
    """
    side = len(composite.pixels)
    grid = places(side, side).numpy()
    x, y, stride = grid.T
    face = np.zeros(len(grid), np.float32)
    boxes, landmarks = np.ones((len(grid), 4), np.float32), np.zeros((len(grid), 5, 2), np.float32)
    for left, top, width, height in composite.ignored:
        face[(x > left) & (x < left + width) & (y > top) & (y < top + height)] = -1
    sizes = np.sqrt(composite.faces.boxes[:, 2] * composite.faces.boxes[:, 3])
    for number in np.argsort(-sizes):
        (left, top, width, height), size = composite.faces.boxes[number], sizes[number]
        off_x, off_y = np.abs(x - left - width / 2), np.abs(y - top - height / 2)
        central = (off_x < _CENTRAL * width) & (off_y < _CENTRAL * height)
        for level, of_stride in enumerate(STRIDES):
            low, high = _LIMITS[level], _LIMITS[level + 1]
            here = stride == of_stride
            nearest = here & (np.maximum(off_x, off_y) <= of_stride / 2)
            if low <= size < high:
                chosen = (central & here) | nearest
                face[chosen], boxes[chosen], landmarks[chosen] = (
                    1,
                    composite.faces.boxes[number],
                    composite.faces.landmarks[number],
                )
            elif low / _BETWEEN <= size < high * _BETWEEN:
                free = ((central & here) | nearest) & (face == 0)
                face[free] = -1
    return Targets(*(torch.from_numpy(part) for part in (face, boxes, landmarks)))


def detection_loss(found: Detections, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """Focal loss of the faces (Lin et al., 2017), 1 - GIoU of the boxes, and the landmarks' error in face sizes.

    Args:
        found: Of a batch, [B, N, ...].
        targets: Of the same batch.

    Returns:
        Three scalars, each divided by the number of places with a face.
    """
    held = targets.face == 1
    count = held.sum().clamp(min=1)
    truth = held.float()
    entropy = F.binary_cross_entropy_with_logits(found.logits.float(), truth, reduction="none")
    missed = (truth - found.logits.float().sigmoid()).abs()
    focal = (torch.where(held, 0.25, 0.75) * missed**2 * entropy)[targets.face >= 0].sum()
    corners = (box_convert(boxes[held].float(), "xywh", "xyxy") for boxes in (found.boxes, targets.boxes))
    boxes = generalized_box_iou_loss(*corners, reduction="sum")
    size = targets.boxes[held][:, 2:].prod(dim=1).sqrt()[:, None, None]
    error = F.smooth_l1_loss(
        found.landmarks[held].float() / size, targets.landmarks[held] / size, beta=_MARKS, reduction="none"
    )
    return 4 * focal / count, boxes / count, error.mean(dim=(1, 2)).sum() * 10 / count


class Composites(Dataset[tuple[Tensor, Targets]]):
    """``dataset[numbers]``: a batch of composites, RGB uint8 [B, 3, S, S], and its targets."""

    def __init__(self, photographs: Photographs, count: int, side: int, seed: int) -> None:
        self.photographs, self.count, self.side, self.seed = photographs, count, side, seed

    def __len__(self) -> int:
        return self.count

    def composite(self, index: int) -> Composite:
        """The composite itself."""
        return compose(self.photographs, np.random.default_rng(derived_seed(self.seed, index)), self.side)

    def __getitem__(self, numbers: Sequence[int]) -> tuple[Tensor, Targets]:
        composites = [self.composite(number) for number in numbers]
        pictures = torch.stack([torch.from_numpy(composite.pixels).permute(2, 0, 1) for composite in composites])
        return pictures, Targets(*map(torch.stack, zip(*map(assign, composites), strict=True)))


class FreshBatches(Sampler[Sequence[int]]):
    """Numbers that no epoch has seen before, from the epoch alone, so that a resumed run goes on alike.

    A batch is shared out evenly among the processes that train together.
    """

    def __init__(self, count: int, batch_size: int) -> None:
        self.count, self.batch_size, self.epoch = count, batch_size, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // self.batch_size

    def __iter__(self) -> Iterator[Sequence[int]]:
        place, first = Place.here(), self.epoch * self.count
        for start in range(first, first + len(self) * self.batch_size, self.batch_size):
            yield range(start, start + self.batch_size)[place.rank :: place.processes]


class DetectionModule(LightningModule):
    """Trains a :class:`CompactDetector`; validates by average precision on composites that never change."""

    def __init__(self, model: CompactDetector, optimisation: Optimisation, truths: list[Composite]) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.optimisation = optimisation
        self.truths = truths
        self.found: list[tuple[np.ndarray, np.ndarray]] = []

    def training_step(self, batch: tuple[Tensor, Targets], batch_idx: int) -> Tensor:
        """The loss of one batch."""
        pictures, targets = batch
        parts = detection_loss(self.model(_float(pictures)), targets)
        for name, part in zip(("face", "box", "landmarks"), parts, strict=True):
            self.log(f"train_{name}", part, on_step=False, on_epoch=True, batch_size=len(pictures))
        return torch.stack(parts).sum()

    def on_validation_epoch_start(self) -> None:
        """Forget what the last validation found."""
        self.found = []

    def validation_step(self, batch: tuple[Tensor, Targets], batch_idx: int) -> None:
        """Keep what is found."""
        found = self.model(_float(batch[0]))
        for logits, boxes in zip(found.logits.float(), found.boxes.float(), strict=True):
            best = logits.topk(min(_KEPT, len(logits))).indices
            kept = best[nms(box_convert(boxes[best], "xywh", "xyxy"), logits[best], 0.4)]
            self.found.append((boxes[kept].cpu().numpy(), logits[kept].sigmoid().cpu().numpy()))

    def on_validation_epoch_end(self) -> None:
        """Log the average precision."""
        matches = match(self.found, [c.faces.boxes for c in self.truths], [c.ignored for c in self.truths])
        self.log("val_average_precision", average_precision(matches), prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See :class:`Optimisation`."""
        return self.optimisation.optimizers(self)

    def configure_gradient_clipping(self, optimizer: object, *args: object, **kwargs: object) -> None:
        """See :class:`Optimisation`."""
        self.optimisation.clip_gradient(self)


def train_detector(
    config: DetectorConfig,
    find: Callable[[Image], list[FaceBox]],
    *,
    resume: bool = False,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> Path:
    """Train the compact detector.

    Args:
        config: Of the run.
        find: The detector that it learns from.
        resume: Go on from the last whole epoch.
        progress: Wraps the loop over the photographs, when their faces are looked for.

    Returns:
        The file of the best weights by average precision on held-out photographs.

    Raises:
        CmaenError: The data cannot be read, there is nothing to resume, or ``config.output`` holds another run.
    """
    check_run(config.output, config.training, resume)
    photographs = load_photographs(config.data, find, config.cache, progress=progress)
    pl.seed_everything(config.seed, verbose=False)
    held_out = Composites(photographs.part(held_out=True), config.validation_composites, config.side, seed=0)
    truths = [held_out.composite(index) for index in range(len(held_out))]
    training = Composites(photographs.part(held_out=False), config.composites, config.side, config.seed + 1)
    batch_size = config.training.batch_size
    module = DetectionModule(CompactDetector(), optimisation_of(config.training), truths)
    if not rank_zero_only.rank:  # type: ignore[attr-defined]
        write_text(config.output / "config.json", config.model_dump_json(indent=2))
    trainer = fit(
        module,
        DataLoader(
            training,
            batch_size=None,
            sampler=FreshBatches(len(training), batch_size),
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        ),
        DataLoader(held_out, batch_size=None, sampler=BatchSampler(range(len(held_out)), batch_size, drop_last=False)),
        config.training,
        output=config.output,
        monitor="val_average_precision",
        resume=resume,
    )
    if trainer.is_global_zero:
        _keep_best(config.output)
    return config.output / WEIGHTS


def _keep_best(output: Path) -> None:
    best = torch.load(output / f"{BEST}.ckpt", map_location="cpu", weights_only=False)["state_dict"]
    state = {
        name.removeprefix("model."): value.contiguous() for name, value in best.items() if name.startswith("model.")
    }
    with replacing(output / WEIGHTS) as temporary:
        save_file(state, temporary)


def _float(pictures: Tensor) -> Tensor:
    return pictures.float().contiguous(memory_format=torch.channels_last)
