"""Dynamic batching: pictures of all clients share the network's batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from threading import Condition, Lock, Thread
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmaen.errors import ImageTooLargeError
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.detectors import Detector
from cmaen.inference.pipeline import FacePipeline, Located
from cmaen.inference.sources import Pending
from cmaen.results import Result
from cmaen.serving.metrics import Metrics
from cmaen.serving.problems import Problem, Room
from cmaen.serving.settings import Limits
from cmaen.types import FaceBox, Image

_PIXELS_PER_CORE = 12_500_000
_REMEMBERED = 0.95
"""What each answer leaves of the pace before it: some twenty of them make it."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A picture on its way.

    Attributes:
        read: Decodes it.
        pixels: Tells how many it will have.
        pipeline: Finds its faces.
        classifier: Answers, under the label scheme that is asked for; ``None`` where features are asked for.
        answer: What the client waits for; cancelled where it no longer does.
        end: When nobody waits any more, on the clock ``time.monotonic``.
    """

    read: Pending
    pixels: Callable[[], int]
    pipeline: FacePipeline
    classifier: FaceClassifier | None
    answer: Future[Any]
    end: float

    @property
    def expired(self) -> bool:
        """Whether an answer would come too late."""
        return time.monotonic() > self.end


class Embedded(NamedTuple):
    """A picture, why it has no answer, and the features of its largest face, float32 [F], or NaN without one."""

    name: str
    error: str | None
    features: NDArray[np.float32]


class AtMost:
    """A detector that refuses pictures of more faces than the limit, before they are cut out and fill the memory."""

    def __init__(self, most: int, detector: Detector) -> None:
        self._most, self._detector = most, detector

    def __call__(self, image: Image) -> list[FaceBox]:
        """See :class:`~cmaen.inference.detectors.Detector`.

        Raises:
            ImageTooLargeError: There are too many.
        """
        faces = self._detector(image)
        if len(faces) > self._most:
            raise ImageTooLargeError(f"{len(faces):,} faces, over the limit of {self._most:,}; send it in parts")
        return faces


class Batcher:
    """Decodes and searches pictures in some threads, and classifies in one the faces of all that are ready.

    Args:
        pipeline: Its ``workers`` are the threads.
        limits: Of the queue, of a batch, and of the pixels and faces that are held at the same time.
        metrics: Told of the queue and of every batch.
    """

    def __init__(self, pipeline: FacePipeline, *, limits: Limits, metrics: Metrics) -> None:
        if pipeline.detector is not None:
            pipeline = replace(pipeline, detector=AtMost(limits.faces, pipeline.detector))
        self._pipeline = pipeline
        self._crops = replace(pipeline, detector=None)
        self._limits = limits
        self._metrics = metrics
        self._room = Room(limits.queue, "queue", "its queue of images is full")
        self._pixels = Turns(limits.decoding_pixels or max(limits.pixels, _PIXELS_PER_CORE * pipeline.workers))
        self._faces = Turns(limits.waiting_faces)
        self._threads = ThreadPoolExecutor(pipeline.workers, "locate")
        self._pace = _Pace()
        self._ready: SimpleQueue[tuple[_Job, Located] | None] = SimpleQueue()
        self._network = Thread(target=self._classify, name="classify", daemon=True)
        self._network.start()

    def submit(
        self,
        pictures: Sequence[Pending],
        *,
        detect: bool,
        classifier: FaceClassifier | None = None,
        sizes: Sequence[Callable[[], int]] | None = None,
    ) -> list[Future[Result]]:
        """Take all pictures of a request or none; one answer for each, in order, which may be cancelled.

        Args:
            pictures: Decoded by the threads.
            detect: Find the faces first; else each picture is a face crop.
            classifier: The pipeline's under another label scheme; ``None``: the pipeline's.
            sizes: Each tells how many pixels its picture will have, before it is decoded.

        Raises:
            Problem: The queue has no room for them.
        """
        return self._submit(pictures, detect, classifier or self._pipeline.classifier, sizes)

    def embed(
        self, pictures: Sequence[Pending], *, detect: bool, sizes: Sequence[Callable[[], int]] | None = None
    ) -> list[Future[Embedded]]:
        """The same for the features of the pictures' largest faces."""
        return self._submit(pictures, detect, None, sizes)

    def _submit(
        self,
        pictures: Sequence[Pending],
        detect: bool,
        classifier: FaceClassifier | None,
        sizes: Sequence[Callable[[], int]] | None,
    ) -> list[Future[Any]]:
        self.check_room()
        self._room.enter(len(pictures))
        self._metrics.queued.inc(len(pictures))
        pipeline = self._pipeline if detect else self._crops
        end = time.monotonic() + self._limits.seconds
        jobs = [
            _Job(read, pixels, pipeline, classifier, Future(), end)
            for read, pixels in zip(pictures, sizes or [_count_nothing] * len(pictures), strict=True)
        ]
        for job in jobs:
            self._threads.submit(self._locate, job)
        return [job.answer for job in jobs]

    def check_room(self) -> None:
        """Refuse what would wait too long, in the same words whether or not its pictures are known yet.

        Raises:
            Problem: It would.
        """
        wait = self._room.used * self._pace.seconds
        if wait > self._limits.wait or self._room.used >= self._limits.queue:
            raise Problem(
                503,
                f"the server is busy: {self._room.used} images are waiting for their turn; try again",
                retry_after=wait,
                refused="queue",
            )

    def close(self) -> None:
        """Finish what was taken."""
        self._threads.shutdown()
        self._ready.put(None)
        self._network.join()

    def _locate(self, job: _Job) -> None:
        if not job.answer.set_running_or_notify_cancel():
            self._leave(1)
            return
        try:
            if job.expired:
                raise TimeoutError
            with self._pixels.reserve(job.pixels()):
                located = job.pipeline.locate(job.read())
                located = located._replace(
                    frame=replace(located.frame, image=None)
                )  # its pixels are not needed further on
        except Exception as error:
            self._leave(1)
            job.answer.set_exception(error)
        else:
            self._faces.enter(len(located.crops))  # left when they are answered: the network may be slower than this
            self._ready.put((job, located))

    def _classify(self) -> None:
        """The work of the one thread of the network."""
        while (first := self._ready.get()) is not None:
            batch = self._batch(first)
            faces = sum(len(located.crops) for _, located in batch)
            self._metrics.batch_images.observe(len(batch))
            self._metrics.batch_faces.observe(faces)
            asked: dict[object, list[tuple[_Job, Located]]] = {}
            for entry in batch:
                if entry[0].expired:
                    self._leave(1)
                    entry[0].answer.set_exception(TimeoutError())
                    continue
                classifier = entry[0].classifier
                asked.setdefault(classifier and (classifier.scheme, classifier.labels), []).append(entry)
            for some in asked.values():
                classifier = some[0][0].classifier
                if classifier is None:
                    self._answer(some, self._embed_batch)
                else:
                    self._answer(some, replace(self._pipeline, classifier=classifier).classify)
            self._faces.leave(faces)

    def _answer(
        self, batch: list[tuple[_Job, Located]], compute: Callable[[Sequence[Located]], Iterable[Result | Embedded]]
    ) -> None:
        jobs, located = zip(*batch, strict=True)
        try:
            results = list(compute(located))
        except Exception as error:
            self._leave(len(batch))
            for job in jobs:
                job.answer.set_exception(error)
        else:
            self._leave(len(batch))
            for job, result in zip(jobs, results, strict=True):
                job.answer.set_result(result)

    def _embed_batch(self, batch: Sequence[Located]) -> list[Embedded]:
        rows = self._pipeline.embed(batch)
        return [Embedded(one.frame.name, one.error, row) for one, row in zip(batch, rows, strict=True)]

    def _batch(self, first: tuple[_Job, Located]) -> list[tuple[_Job, Located]]:
        """The first picture and those that come soon after it; nobody is waited for where nobody is on the way."""
        batch, faces = [first], len(first[1].crops)
        end = time.monotonic() + self._limits.batch_seconds
        while faces < self._limits.batch_faces and len(batch) < self._room.used:
            try:
                entry = self._ready.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                break
            if entry is None:  # the end, which comes after every picture
                self._ready.put(None)
                break
            batch.append(entry)
            faces += len(entry[1].crops)
        return batch

    def _leave(self, count: int) -> None:
        self._room.leave(count)
        self._pace.done(count, idle=not self._room.used)
        self._metrics.queued.dec(count)


def _count_nothing() -> int:
    return 0


class Turns:
    """So much at the same time; who finds no room waits, and nobody overtakes. What is too large waits to be alone.

    Args:
        most: At the same time.
    """

    def __init__(self, most: int) -> None:
        self.most, self.used = most, 0
        self._turn, self._changed = Lock(), Condition()

    def enter(self, count: int) -> None:
        """Wait for room, and take it until :meth:`leave`."""
        with self._turn, self._changed:
            self._changed.wait_for(lambda: not self.used or self.used + count <= self.most)
            self.used += count

    def leave(self, count: int) -> None:
        """Give room back."""
        with self._changed:
            self.used -= count
            self._changed.notify_all()

    @contextmanager
    def reserve(self, count: int) -> Iterator[None]:
        """Room for the time of a ``with`` block."""
        self.enter(count)
        try:
            yield
        finally:
            self.leave(count)


class _Pace:
    """How long one picture takes while there are others to do: a mean in which the last ones count most.

    Attributes:
        seconds: From one answer to the next.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last: float | None = None

    def done(self, count: int, *, idle: bool) -> None:
        """So many more are done; ``idle`` says that none are left, so that the time to the next tells nothing."""
        now = time.monotonic()
        if self._last is not None:
            share = 1 - _REMEMBERED**count
            self.seconds += share * ((now - self._last) / count - self.seconds)
        self._last = None if idle else now
