"""Dynamic batching: images of all clients share the network's batches."""

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
"""Weight of the previous mean when an answer is added; about twenty answers determine the mean."""


@dataclass(frozen=True, slots=True)
class _Job:
    """An image that is being processed.

    Attributes:
        read: Function that decodes the image.
        pixels: Function that returns the number of pixels the image will have.
        pipeline: Pipeline that detects its faces.
        classifier: Classifier for the requested label scheme; ``None`` if features are requested.
        answer: The answer that the client waits for; cancelled if the client no longer waits.
        end: Deadline of the answer, on the clock ``time.monotonic``.
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
    """An image's name, its error, and the features of its largest face, float32 [F], which are NaN without a face."""

    name: str
    error: str | None
    features: NDArray[np.float32]


class AtMost:
    """A detector that refuses images with more faces than the limit, before their crops fill the memory."""

    def __init__(self, most: int, detector: Detector) -> None:
        self._most, self._detector = most, detector

    def __call__(self, image: Image) -> list[FaceBox]:
        """See :class:`~cmaen.inference.detectors.Detector`.

        Raises:
            ImageTooLargeError: There are too many faces.
        """
        faces = self._detector(image)
        if len(faces) > self._most:
            raise ImageTooLargeError(
                f"{len(faces):,} faces, over the limit of {self._most:,}; divide the image and send the parts"
            )
        return faces


class Batcher:
    """Decodes images and detects faces in several threads, and classifies the faces of all of them in one.

    Args:
        pipeline: Pipeline to run; its ``workers`` is the number of threads.
        limits: Limits of the queue, of a batch, and of the pixels and faces in memory.
        metrics: Metrics of the queue and of the batches.
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
        """Accept all images of a request or none; return one answer for each, in order, which may be cancelled.

        Args:
            pictures: Images to be decoded by the threads.
            detect: Whether to detect faces first; otherwise each image is a face crop.
            classifier: Classifier for another label scheme; ``None``: that of the pipeline.
            sizes: Functions that return the number of pixels of each image before it is decoded.

        Raises:
            Problem: The queue has no room for the images.
        """
        return self._submit(pictures, detect, classifier or self._pipeline.classifier, sizes)

    def embed(
        self, pictures: Sequence[Pending], *, detect: bool, sizes: Sequence[Callable[[], int]] | None = None
    ) -> list[Future[Embedded]]:
        """Compute the features of the largest face of each image; see :meth:`submit`."""
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
        """Refuse a request whose images would wait too long, before or after its body is read.

        Raises:
            Problem: The queue is full, or the wait would be too long.
        """
        wait = self._room.used * self._pace.seconds
        if wait > self._limits.wait or self._room.used >= self._limits.queue:
            raise Problem(
                503,
                f"the server is busy: {self._room.used} images are waiting to be processed; try again",
                retry_after=wait,
                refused="queue",
            )

    def close(self) -> None:
        """Finish the accepted images, and stop the threads."""
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
                # the pixels are no longer needed
                located = located._replace(frame=replace(located.frame, image=None))
        except Exception as error:
            self._leave(1)
            job.answer.set_exception(error)
        else:
            # released when they are answered: the network may be slower than detection
            self._faces.enter(len(located.crops))
            self._ready.put((job, located))

    def _classify(self) -> None:
        """Classify batches until the end, in the network's thread."""
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
        """Collect the first image and those that follow soon; it does not wait if no others are being processed."""
        batch, faces = [first], len(first[1].crops)
        end = time.monotonic() + self._limits.batch_seconds
        while faces < self._limits.batch_faces and len(batch) < self._room.used:
            try:
                entry = self._ready.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                break
            if entry is None:  # the end, which comes after every image
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
    """A limited amount that is shared in order of arrival; a request above the limit waits until it is alone.

    Args:
        most: Largest amount in use at the same time.
    """

    def __init__(self, most: int) -> None:
        self.most, self.used = most, 0
        self._turn, self._changed = Lock(), Condition()

    def enter(self, count: int) -> None:
        """Wait for room, and occupy it until :meth:`leave`."""
        with self._turn, self._changed:
            self._changed.wait_for(lambda: not self.used or self.used + count <= self.most)
            self.used += count

    def leave(self, count: int) -> None:
        """Release room."""
        with self._changed:
            self.used -= count
            self._changed.notify_all()

    @contextmanager
    def reserve(self, count: int) -> Iterator[None]:
        """Occupy room for the duration of a ``with`` block."""
        self.enter(count)
        try:
            yield
        finally:
            self.leave(count)


class _Pace:
    """The time per image while others are waiting: an exponential moving average.

    Attributes:
        seconds: Mean time from one answer to the next, in seconds.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last: float | None = None

    def done(self, count: int, *, idle: bool) -> None:
        """Count finished images; after ``idle``, when none are left, the time to the next one is ignored."""
        now = time.monotonic()
        if self._last is not None:
            share = 1 - _REMEMBERED**count
            self.seconds += share * ((now - self._last) / count - self.seconds)
        self._last = None if idle else now
