"""The same pipeline on many machines: Ray with one worker per core, and the same results as on one machine."""

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

import ray

from cmaen.errors import CmaenError, PredictionError, describe
from cmaen.images.reader import printable
from cmaen.inference.sources import Pending, Source
from cmaen.inference.sources.address import AddressSource, fetch
from cmaen.inference.sources.images import FolderSource, read_frame
from cmaen.inference.spec import PipelineSpec
from cmaen.resources import usable_cores
from cmaen.results import Result
from cmaen.types import Frame

_PARTS_AHEAD = 3
"""Parts in flight for each worker: one in work, one waiting, and one finished but not yet collected."""
_RETRIES = 2
"""Number of times that a part is retried after its worker died."""
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60"}
"""Settings of Ray unless the user has others: it reports nothing, and gives the proxy of a service 60 seconds to start
instead of 5, which are too few on a busy machine.
"""
_Names = list[tuple[int, str]]
"""Paths or addresses of images, with their numbers in the whole sequence."""


class RayPipeline:
    """A :class:`~cmaen.inference.pipeline.FacePipeline` in each worker of a Ray cluster.

    The cluster is the one that ``RAY_ADDRESS`` names, where every machine must have this package and see the images
    under the same paths; without ``RAY_ADDRESS``, it is this machine. The images of a worker that dies are given to
    another.

    Args:
        spec: Spec of each worker's pipeline, which has one core. ``workers`` is the number of worker processes,
            ``None`` for one per core of the cluster; each takes ``batch_size`` images at a time.

    Raises:
        CheckpointError: The checkpoint is missing or cannot be used.
        ConfigError: The checkpoint does not have the label scheme.
    """

    def __init__(self, spec: PipelineSpec) -> None:
        self._spec = spec
        opened = spec.open_checkpoint()
        self._scheme = opened.card.resolve_scheme(spec.scheme)
        checkpoint = opened.shipped_name or opened.folder.absolute()  # the package may lie elsewhere there
        self._of_worker = replace(spec, checkpoint=checkpoint, throughput=True, threads=1, workers=1)

    def results(self, source: Source, *, keep_images: bool = False) -> Generator[Result, None, None]:
        """See :class:`~cmaen.inference.pipeline.Pipeline`; pixels to keep are read once more, in this process.

        Raises:
            CmaenError: The source is neither a folder nor an address.
        """
        if not isinstance(source, FolderSource | AddressSource):
            raise CmaenError("a cluster only processes the images of a folder or of an address")
        for names, records in self._answer_parts(_split(source.names(), self._spec.batch_size)):
            pending = list(_Part([name for _, name in names], self._spec.max_pixels)) if keep_images else []
            for number, ((index, name), record) in enumerate(zip(names, records, strict=True)):
                answer = Result.from_record(record)
                frame = pending[number]() if keep_images else Frame(index, printable(name), size=answer.size)
                yield replace(answer, frame=replace(frame, index=index))

    def _answer_parts(self, parts: Iterator[_Names]) -> Generator[tuple[_Names, list[dict[str, Any]]], None, None]:
        """Yield parts of the images with their records, in order; just enough are in flight to keep workers busy."""
        waiting: deque[tuple[_Names, Any, Any]] = deque()
        workers: list[Any] = []
        try:
            for number, part in enumerate(parts):
                if not workers:
                    most = self._count_workers()
                if len(workers) < most:
                    workers.append(self._start())
                worker = workers[number % len(workers)]
                waiting.append((part, worker, _ask(worker, part)))
                if len(waiting) >= _PARTS_AHEAD * most:
                    yield waiting[0][0], self._take(*waiting.popleft())
            while waiting:
                yield waiting[0][0], self._take(*waiting.popleft())
        finally:
            for worker in workers:
                ray.kill(worker)

    def _take(self, part: _Names, worker: Any, answer: Any) -> list[dict[str, Any]]:
        """Wait for the records of a part; if it kills every worker, its images are tried one by one.

        Raises:
            PredictionError: No worker can be started.
        """
        try:
            return [json.loads(record) for record in ray.get(answer)]
        except ray.exceptions.ActorDiedError as problem:
            raise PredictionError(f"the workers cannot be started: {describe(problem)}") from problem
        except ray.exceptions.RayError as problem:
            if len(part) > 1:
                return [record for one in part for record in self._take([one], worker, _ask(worker, [one]))]
            ((index, name),) = part
            error = describe(PredictionError(f"the worker fails: {describe(problem)}"))
            return [Result(Frame(index, printable(name)), error=error, scheme=self._scheme).to_record()]

    def _count_workers(self) -> int:
        """Join the cluster, and return the number of worker processes."""
        join_cluster()
        return max(1, self._spec.workers or int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]

    def _start(self) -> Any:
        """Start a worker; if it dies, Ray restarts it, possibly on another machine, and repeats its task."""
        worker = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES)(_Worker)
        return worker.remote(self._of_worker)


def _ask(worker: Any, part: _Names) -> Any:
    """Ask a worker for a part, and return the pending answer."""
    return worker.answer.remote([_absolute(name) for _, name in part])


def _split(names: Iterator[str], size: int) -> Iterator[_Names]:
    """Number the names, and yield ``size`` of them at a time."""
    numbered = enumerate(names)
    while part := list(islice(numbered, size)):
        yield part


def join_cluster() -> None:
    """Join the cluster that ``RAY_ADDRESS`` names, or start one on the cores that this process may use."""
    if ray.is_initialized():
        return
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "include_dashboard": False}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**options)
        return
    try:
        ray.init(**options, num_cpus=usable_cores())  # by default Ray takes all cores of the machine
    except ValueError:  # a cluster with cores of its own is already running here
        ray.init(**options)


class _Worker:
    """The state of each worker process: a pipeline on one thread."""

    def __init__(self, spec: PipelineSpec) -> None:
        self._pipeline = spec.build()
        self._max_pixels = spec.max_pixels

    def answer(self, names: Sequence[bytes]) -> list[str]:
        """Return the records of some images as JSON."""
        results = self._pipeline.results(_Part(list(map(os.fsdecode, names)), self._max_pixels))
        return [json.dumps({**result.to_record(), "size": result.size}) for result in results]


class _Part:
    """Some of the images of a source, by their paths or addresses."""

    moving = False
    live = False

    def __init__(self, names: Sequence[str], max_pixels: int) -> None:
        self._names, self._max_pixels = names, max_pixels

    def __iter__(self) -> Iterator[Pending]:
        for index, name in enumerate(self._names):
            yield partial(read_frame, index, printable(name), partial(_content, name), max_pixels=self._max_pixels)

    def count(self) -> int | None:
        """Return the number of names."""
        return len(self._names)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _content(name: str) -> str | bytes:
    return fetch(name) if "://" in name else name


def _absolute(name: str) -> bytes:
    """Make a path absolute and encode it: workers have other working folders, and Arrow only takes UTF-8 text."""
    return os.fsencode(name if "://" in name else os.path.abspath(name))  # noqa: PTH100
