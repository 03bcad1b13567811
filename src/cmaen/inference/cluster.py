"""The same pipeline on many machines: Ray Data with one worker a core, the results those of one machine."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import ray
from ray.data import ActorPoolStrategy, DataContext

from cmaen.errors import CmaenError
from cmaen.images import printable
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.detectors import DetectorOptions, build_detector
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.sources import Pending, Source
from cmaen.inference.sources.address import AddressSource, fetch
from cmaen.inference.sources.images import FolderSource, read_frame
from cmaen.inference.tuning import Tuning
from cmaen.resources import usable_cores
from cmaen.results import Result
from cmaen.types import Frame

_MOST_BLOCKS = 10_000


class RayPipeline:
    """A :class:`~cmaen.inference.pipeline.FacePipeline` in each worker of a Ray cluster.

    The cluster is the one that ``RAY_ADDRESS`` names, where every machine has this package and sees the images under
    the same paths; without it, this machine. The images of a worker that dies are given to another.

    Args:
        checkpoint: Folder of a checkpoint with an ONNX file.
        detector, options: See :func:`cmaen.inference.detectors.build_detector`; ``None``: the images are face crops.
        batch_size: Images that a worker takes at a time.
        threshold: The confidence below which an answer is "uncertain".
        scheme, contempt: See :class:`~cmaen.inference.classifier.FaceClassifier`.
        workers: Processes of one core each; ``None`` for one a core.
    """

    def __init__(
        self,
        checkpoint: Path,
        *,
        detector: str | None,
        options: DetectorOptions,
        batch_size: int = Tuning.batch_size,
        threshold: float = 0.0,
        scheme: str | None = None,
        contempt: bool = False,
        workers: int | None = None,
    ) -> None:
        self.batch_size = batch_size
        self.workers = workers
        self._of_worker = {
            "checkpoint": checkpoint.absolute(),
            "detector": detector,
            "options": options,
            "threshold": threshold,
            "scheme": scheme,
            "contempt": contempt,
        }

    def results(self, source: Source, *, keep_images: bool = False) -> Generator[Result, None, None]:
        """See :class:`~cmaen.inference.pipeline.Pipeline`; pixels that are to be kept are read once more, here.

        Raises:
            CmaenError: The source is neither a folder nor an address.
        """
        if not isinstance(source, FolderSource | AddressSource):
            raise CmaenError("a cluster takes the images of a folder or of an address")
        names = list(source.names())  # once: the folder may grow
        frames: Iterator[Frame] = (
            (pending() for pending in _Part(names))
            if keep_images
            else (Frame(index, printable(name)) for index, name in enumerate(names))
        )
        for frame, record in zip(frames, self._records(names), strict=True):
            answer = Result.from_record(record)
            yield replace(answer, frame=replace(frame, size=answer.size))

    def _records(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """One record for each image, in order."""
        if not names:
            return
        join_cluster()
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)  # it warns that there is no bar
        context = DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        workers = self.workers or int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        workers = max(1, min(workers, len(names) // self.batch_size))
        blocks = min(math.ceil(len(names) / self.batch_size), _MOST_BLOCKS)
        done = ray.data.from_items([{"image": _absolute(name)} for name in names], override_num_blocks=blocks)
        for row in done.map_batches(
            _Worker,
            batch_size=self.batch_size,
            compute=ActorPoolStrategy(size=workers),
            num_cpus=1,
            fn_constructor_kwargs=self._of_worker,
        ).iter_rows():
            yield json.loads(row["record"])


def join_cluster() -> None:
    """Be in a cluster: the one that ``RAY_ADDRESS`` names, or one of the cores that this process may use."""
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "include_dashboard": False}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**options)
        return
    try:
        ray.init(**options, num_cpus=usable_cores())  # by itself Ray takes those of the machine
    except ValueError:  # one runs here already, with cores of its own
        ray.init(**options)


class _Worker:
    """What each process of the pool holds: a pipeline on one thread."""

    def __init__(
        self,
        *,
        checkpoint: Path,
        detector: str | None,
        options: DetectorOptions,
        threshold: float,
        scheme: str | None,
        contempt: bool,
    ) -> None:
        cv2.setNumThreads(1)
        finder = None if detector is None else build_detector(detector, options=options, threads=1)
        classifier = FaceClassifier(checkpoint, threads=1, scheme=scheme, contempt=contempt)
        self._pipeline = FacePipeline(classifier, finder, Tuning(workers=1, threshold=threshold))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        results = self._pipeline.results(_Part([os.fsdecode(name) for name in batch["image"]]))
        return {"record": [json.dumps({**result.to_record(), "size": result.size}) for result in results]}


class _Part:
    """Some of the images of a source, by their paths or addresses."""

    moving = False
    live = False

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __iter__(self) -> Iterator[Pending]:
        for index, name in enumerate(self._names):
            yield partial(read_frame, index, printable(name), partial(_content, name))

    def count(self) -> int | None:
        """All of them."""
        return len(self._names)

    def close(self) -> None:
        """Nothing is open."""


def _content(name: str) -> str | bytes:
    return fetch(name) if "://" in name else name


def _absolute(name: str) -> bytes:
    """Workers have a folder of their own, and Arrow has no names that are not UTF-8."""
    return os.fsencode(name if "://" in name else os.path.abspath(name))  # noqa: PTH100
