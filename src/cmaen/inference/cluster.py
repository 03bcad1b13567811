"""Many images on many machines: Ray Data with one predictor a worker, the results those of one machine."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import fsspec
import ray
from ray.data import ActorPoolStrategy, DataContext

from cmaen.images import ImageSource, is_image_name
from cmaen.inference.predictor import BATCH_SIZE, EmotionPredictor
from cmaen.types import Prediction

_MOST_BLOCKS = 10_000


def images_at(address: str) -> list[str]:
    """The addresses of all images under a folder that fsspec can read, like ``s3://bucket/faces``, in order.

    Raises:
        OSError: The folder cannot be read.
    """
    system, folder = fsspec.core.url_to_fs(address)
    return [system.unstrip_protocol(path) for path in sorted(system.find(folder)) if is_image_name(path)]


def predict_on_ray(
    images: Sequence[str],
    *,
    detect: bool = True,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    **predictor: Any,
) -> Iterator[dict[str, Any]]:
    """One dict for each image, in order, as :meth:`EmotionPredictor.predict_batch` gives them.

    The cluster is the one that ``RAY_ADDRESS`` names, where every machine has this package and sees the images under
    the same paths; without it, this machine. The images of a worker that dies are given to another.

    Args:
        images: Paths, or addresses that fsspec can read.
        detect, batch_size: As there.
        workers: Processes of one core each; ``None`` for one a core.
        predictor: Further arguments of :class:`EmotionPredictor`.
    """
    if not images:
        return
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    workers = workers or int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
    workers = max(1, min(workers, len(images) // batch_size))
    blocks = min(math.ceil(len(images) / batch_size), _MOST_BLOCKS)
    judged = ray.data.from_items(
        [{"image": _absolute(image)} for image in images], override_num_blocks=blocks
    ).map_batches(
        _Worker,
        batch_size=batch_size,
        compute=ActorPoolStrategy(size=workers),
        num_cpus=1,
        max_restarts=-1,
        max_task_retries=-1,
        fn_constructor_kwargs={"detect": detect, **predictor},
    )
    for row in judged.iter_rows():
        yield json.loads(row["prediction"])


class _Worker:
    """What each process of the pool holds: a predictor on one thread."""

    def __init__(self, *, detect: bool, **predictor: Any) -> None:
        self._detect = detect
        self._predictor = EmotionPredictor(threads=1, workers=1, **predictor)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        read = [_read(os.fsdecode(image)) for image in batch["image"]]
        judged = self._predictor.predict_each(
            (image for image in read if not isinstance(image, Prediction)), self._detect, max(len(read), 1)
        )
        predictions = (image if isinstance(image, Prediction) else next(judged) for image in read)
        return {"prediction": [json.dumps(prediction.as_dict()) for prediction in predictions]}


def _absolute(image: str) -> bytes:
    """Workers have a folder of their own, and Arrow has no names that are not UTF-8."""
    return os.fsencode(image if "://" in image else os.path.abspath(image))  # noqa: PTH100


def _read(image: str) -> ImageSource | Prediction:
    """A path as it is, the bytes behind an address, or what is wrong with it."""
    if "://" not in image:
        return image
    try:
        protocol = image.split("://", 1)[0]
        data: bytes = _system(protocol).cat_file(image)
    except Exception as error:  # each storage has errors of its own
        return Prediction("error", error=f"ImageNotFoundError: {image} cannot be read: {error}")
    return data


@cache
def _system(protocol: str) -> Any:
    return fsspec.filesystem(protocol)
