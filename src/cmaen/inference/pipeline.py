"""The one way of every picture: found, followed in a video, cut out, classified, smoothed over time."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cmaen.errors import CmaenError
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.detectors import Detector
from cmaen.inference.readahead import ahead
from cmaen.inference.sources import Pending, Source
from cmaen.inference.tracking import FaceTracker, Track
from cmaen.types import FaceBox, FaceEmotion, Frame, Image, Result, certainty_of

BATCH_SIZE = 32
SMOOTHING = 0.4
_KEPT = 8
"""Still pictures that are held in memory at the same time for a sink that draws."""
_BAD_PICTURE = (CmaenError, cv2.error, ValueError)
"""What costs one picture and none of the others."""


class Pipeline(Protocol):
    """Turns the frames of a source into results."""

    def results(self, source: Source, *, keep_images: bool = False) -> Generator[Result, None, None]:
        """One result for each frame, in their order; with its pixels if they are to be kept."""
        ...


class Located(NamedTuple):
    """A frame whose faces are found, or what went wrong.

    Attributes:
        frame: The frame.
        faces: Their boxes, the largest first.
        crops: What the network will see of each, uint8; its input, which takes a hundred times as much memory, is made
            with the batch.
        error: Why there are none.
    """

    frame: Frame
    faces: Sequence[FaceBox]
    crops: Sequence[NDArray[np.uint8]]
    error: str | None


@dataclass(frozen=True)
class FacePipeline:
    """Finds and classifies faces; may be shared by threads.

    Attributes:
        classifier: Of face crops.
        detector: Of faces; ``None`` says that every picture is a face crop.
        workers: Threads that read still pictures and find their faces at the same time.
        batch_size: Still pictures whose faces are classified together.
        smoothing: Of a video: seconds after which an old answer counts 1/e; 0 switches the smoothing off.
        threshold: The confidence below which an answer is "uncertain", in [0, 1]; 0 for never.
        detect_every: Of a video: frames from one search for faces to the next; between them the optical flow follows.
        classify_every: Of a video: frames from one answer of the network to the next, for each face.
    """

    classifier: FaceClassifier
    detector: Detector | None
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    batch_size: int = BATCH_SIZE
    smoothing: float = SMOOTHING
    threshold: float = 0.0
    detect_every: int = 6
    classify_every: int = 2

    def __post_init__(self) -> None:
        for name in ("workers", "batch_size", "detect_every", "classify_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.smoothing >= 0:
            raise ValueError(f"smoothing must be 0 seconds or more, not {self.smoothing}")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is a confidence from 0 to 1, not {self.threshold}")

    def results(self, source: Source, *, keep_images: bool = False) -> Generator[Result, None, None]:
        """See :class:`Pipeline`."""
        return self._moving(source) if source.moving else self._still(source, keep_images)

    def under(self, scheme: str | None, *, contempt: bool = False) -> FacePipeline:
        """The same pipeline under another label scheme, see :meth:`FaceClassifier.under`."""
        return replace(self, classifier=self.classifier.under(scheme, contempt=contempt))

    def detect(self, image: Image) -> list[FaceBox]:
        """The faces of a picture, the largest first; the whole picture where there is no detector."""
        if self.detector is not None:
            return self.detector(image)
        height, width = image.shape[:2]
        return [FaceBox(0.0, 0.0, float(width), float(height))]

    def crop(self, image: Image, face: FaceBox) -> Image:
        """A face cut out; the whole picture where there is no detector."""
        return image if self.detector is None else self.classifier.crop(image, face)

    def features(self, source: Source) -> Generator[NDArray[np.float32], None, None]:
        """The features of still pictures, float32 [B, F] a batch, see :meth:`embedded`."""
        for batch in self._located(source, keep_images=False):
            yield self.embedded(batch)

    def _still(self, source: Source, keep_images: bool) -> Generator[Result, None, None]:
        for batch in self._located(source, keep_images):
            yield from self.classified(batch)

    def _located(self, source: Source, keep_images: bool) -> Generator[list[Located], None, None]:
        """Still pictures whose faces are found, in batches."""
        batch_size = min(self.batch_size, _KEPT) if keep_images else self.batch_size

        def locate(pending: Pending) -> Located:
            located = self.locate(pending())
            return located if keep_images else located._replace(frame=replace(located.frame, image=None))

        with closing(ahead(source, locate, workers=self.workers, size=2 * batch_size)) as located:
            while batch := list(islice(located, batch_size)):
                yield batch

    def locate(self, frame: Frame) -> Located:
        """The first half of the way of a still picture: its faces are found, cut out and reduced."""
        faces: Sequence[FaceBox] = ()
        error = frame.error
        crops: list[NDArray[np.uint8]] = []
        if frame.image is not None:
            try:
                faces = self.detect(frame.image)
                crops = [self.classifier.reduce(self.crop(frame.image, face)) for face in faces]
            except _BAD_PICTURE as problem:
                faces, crops, error = (), [], describe(problem)
        return Located(frame, faces, crops, error)

    def classified(self, batch: Sequence[Located]) -> Generator[Result, None, None]:
        """The second half: the results of some pictures, whose faces go through the network together."""
        rows = iter(self.classifier([crop for located in batch for crop in located.crops]).tolist())
        for frame, faces, _, error in batch:
            yield self._result(frame, [(tuple(next(rows)), face) for face in faces], error)

    def embedded(self, batch: Sequence[Located]) -> NDArray[np.float32]:
        """Instead of that: the penultimate features of each picture's largest face, float32 [B, F]; NaN without a face.

        Raises:
            CheckpointError: The engine's file does not give them.
        """
        there = [bool(located.crops) for located in batch]
        found = self.classifier.features_of([crop for located in batch for crop in located.crops[:1]])
        features = np.full((len(batch), found.shape[1]), np.nan, np.float32)
        features[there] = found
        return features

    def _moving(self, source: Source) -> Generator[Result, None, None]:
        tracker = FaceTracker()
        size = 1 if source.live else 4
        with closing(ahead(source, lambda pending: pending(), size=size)) as frames:
            for number, frame in enumerate(frames):
                yield self._followed(tracker, number, frame)

    def _followed(self, tracker: FaceTracker, number: int, frame: Frame) -> Result:
        """The result of the next frame of a video."""
        if frame.image is None:
            return self._answer(frame, error=frame.error)
        try:
            tracks = self._tracked(tracker, number, frame.image, frame.time or 0.0)
            return self._answer(frame, tuple(map(self._emotion_of, tracks)))
        except _BAD_PICTURE as problem:
            return self._answer(frame, error=describe(problem))

    def _tracked(self, tracker: FaceTracker, number: int, image: Image, time: float) -> list[Track]:
        """The faces of the next frame, each with an answer of the network."""
        if number % self.detect_every == 0:
            tracks = tracker.detected(image, self.detect(image), time)
        else:
            tracks = tracker.followed(image)
        due = [track for track in tracks if track.probabilities is None or number % self.classify_every == 0]
        answers = self.classifier([self.crop(image, track.face) for track in due])
        for track, probabilities in zip(due, answers, strict=True):
            track.update(probabilities, time, self.smoothing)
        return tracks

    def _result(self, frame: Frame, answers: Sequence[tuple[tuple[float, ...], FaceBox]], error: str | None) -> Result:
        """The result of a picture; an error where the network has overflowed."""
        try:
            return self._answer(frame, tuple(self._emotion(*answer) for answer in answers), error)
        except ValueError as problem:
            return self._answer(frame, error=describe(problem))

    def _answer(self, frame: Frame, faces: tuple[FaceEmotion, ...] = (), error: str | None = None) -> Result:
        return Result(frame, faces, error, self.classifier.scheme)

    def _emotion_of(self, track: Track) -> FaceEmotion:
        assert track.probabilities is not None
        return self._emotion(tuple(track.probabilities.tolist()), track.face, track.number)

    def _emotion(self, probabilities: tuple[float, ...], face: FaceBox, identity: int | None = None) -> FaceEmotion:
        certainty = certainty_of(probabilities, self.classifier.sharpening)
        return FaceEmotion(probabilities, face, identity, self.classifier.labels, self.threshold, certainty)


def describe(error: Exception) -> str:
    """An error as the results name it."""
    return f"{type(error).__name__}: {error}"
