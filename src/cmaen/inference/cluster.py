"""The same pipeline on many machines: Ray with one worker a core, the results those of one machine."""

from __future__ import annotations

import json
import logging
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import cv2
import ray

from cmaen.checkpoints import SHIPPED, Checkpoint, Where
from cmaen.errors import CmaenError, PredictionError, describe
from cmaen.images import printable
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.detectors import DetectorOptions, build_detector
from cmaen.inference.pipeline import BATCH_SIZE, FacePipeline
from cmaen.inference.sources import Pending, Source
from cmaen.inference.sources.address import AddressSource, fetch
from cmaen.inference.sources.images import FolderSource, read_frame
from cmaen.resources import usable_cores
from cmaen.types import Frame, Result

_PARTS_AHEAD = 3
"""For each worker: one that it answers, one that waits, and one whose answer does."""
_RETRIES = 2
"""Of a part of the images whose worker has died."""
_Names = list[tuple[int, str]]
"""Paths or addresses of images, with the numbers that these have among all."""


class RayPipeline:
    """A :class:`~cmaen.inference.pipeline.FacePipeline` in each worker of a Ray cluster.

    The cluster is the one that ``RAY_ADDRESS`` names, where every machine has this package and sees the images under
    the same paths; without it, this machine. The images of a worker that dies are given to another.

    Args:
        checkpoint: With an ONNX file, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        detector, options: See :func:`cmaen.inference.detectors.build_detector`; ``None``: the images are face crops.
        batch_size: Images that a worker takes at a time.
        threshold: The confidence below which an answer is "uncertain".
        scheme, contempt: See :class:`~cmaen.inference.classifier.FaceClassifier`.
        workers: Processes of one core each; ``None`` for one a core.
    """

    def __init__(
        self,
        checkpoint: Where = None,
        *,
        detector: str | None,
        options: DetectorOptions,
        batch_size: int = BATCH_SIZE,
        threshold: float = 0.0,
        scheme: str | None = None,
        contempt: bool = False,
        workers: int | None = None,
    ) -> None:
        self.batch_size = batch_size
        self.workers = workers
        opened = Checkpoint.open(checkpoint)
        self._of_worker: dict[str, Any] = {
            "checkpoint": SHIPPED if opened.is_shipped else opened.folder.absolute(),  # a package may lie elsewhere
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
        for names, records in self._answered(_parts(source.names(), self.batch_size)):
            pending = list(_Part([name for _, name in names])) if keep_images else []
            for number, ((index, name), record) in enumerate(zip(names, records, strict=True)):
                frame = pending[number]() if keep_images else Frame(index, printable(name))
                yield replace(Result.from_record(record), frame=replace(frame, index=index))

    def _answered(self, parts: Iterator[_Names]) -> Generator[tuple[_Names, list[dict[str, Any]]], None, None]:
        """Parts of the images with their records, in order; never more of them at a time than keep the workers busy."""
        waiting: deque[tuple[_Names, Any, Any]] = deque()
        workers: list[Any] = []
        try:
            for number, part in enumerate(parts):
                if not workers:
                    most = self._workers()
                if len(workers) < most:
                    workers.append(self._started())
                worker = workers[number % len(workers)]
                waiting.append((part, worker, _asked(worker, part)))
                if len(waiting) >= _PARTS_AHEAD * most:
                    yield waiting[0][0], self._taken(*waiting.popleft())
            while waiting:
                yield waiting[0][0], self._taken(*waiting.popleft())
        finally:
            for worker in workers:
                ray.kill(worker)

    def _taken(self, part: _Names, worker: Any, answer: Any) -> list[dict[str, Any]]:
        """The records of a part once they are there; where it kills each worker, its images are tried one by one.

        Raises:
            PredictionError: No worker can be started.
        """
        try:
            return [json.loads(record) for record in ray.get(answer)]
        except ray.exceptions.ActorDiedError as problem:
            raise PredictionError(f"the workers cannot be started: {describe(problem)}") from problem
        except ray.exceptions.RayError as problem:
            if len(part) > 1:
                return [record for one in part for record in self._taken([one], worker, _asked(worker, [one]))]
            ((index, name),) = part
            error = describe(PredictionError(f"the worker fails: {describe(problem)}"))
            return [Result(Frame(index, printable(name)), error=error, scheme=self._of_worker["scheme"]).as_record()]

    def _workers(self) -> int:
        """How many processes there may be; the cluster is there from now on."""
        join_cluster()
        return max(1, self.workers or int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]

    def _started(self) -> Any:
        """A worker; one that dies is started again, maybe elsewhere, and does what it had to do."""
        worker = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES)(_Worker)
        return worker.remote(**self._of_worker)


def _asked(worker: Any, part: _Names) -> Any:
    """The answer of a worker that is still to come."""
    return worker.answer.remote([_absolute(name) for _, name in part])


def _parts(names: Iterator[str], size: int) -> Iterator[_Names]:
    """Names with their numbers, so many at a time."""
    numbered = enumerate(names)
    while part := list(islice(numbered, size)):
        yield part


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
        checkpoint: Where,
        detector: str | None,
        options: DetectorOptions,
        threshold: float,
        scheme: str | None,
        contempt: bool,
    ) -> None:
        cv2.setNumThreads(1)  # of this process: OpenCV knows nothing of those beside it
        finder = None if detector is None else build_detector(detector, options=options, threads=1)
        classifier = FaceClassifier(checkpoint, threads=1, scheme=scheme, contempt=contempt)
        self._pipeline = FacePipeline(classifier, finder, workers=1, threshold=threshold)

    def answer(self, names: Sequence[bytes]) -> list[str]:
        """The records of some images, as JSON."""
        results = self._pipeline.results(_Part(list(map(os.fsdecode, names))))
        return [json.dumps(result.as_record()) for result in results]


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
