"""The one way of every picture: found, followed in a video, cut out, classified, smoothed over time."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cmaen.errors import CmaenError, DetectorError, PredictionError, describe, guard
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.detectors import Detector
from cmaen.inference.doubts import find_doubts
from cmaen.inference.likeness import Likeness
from cmaen.inference.readahead import Weight, ahead
from cmaen.inference.sources import Pending, Source
from cmaen.inference.tracking import FaceTracker, Track
from cmaen.inference.tuning import AS_IT_COMES, Tuning
from cmaen.resources import usable_cores
from cmaen.results import Face, Result
from cmaen.types import FaceBox, Frame, Image, certainty_of

log = logging.getLogger(__name__)

_KEPT = 8
"""Still pictures whose pixels are kept that are classified together, at most."""
_PIXELS_KEPT = 32_000_000
_PIXELS_WORKED_ON = 16_000_000
"""Pixels of still pictures in memory: so many wait with those that are kept, and so many for each worker."""
_FRAME = 1 / 25
"""Seconds from one frame of a video to the next, where its source does not say."""


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
    pixels: int = 0
    """How many the picture has, also where they are not kept."""


@dataclass(frozen=True)
class FacePipeline:
    """Finds and classifies faces; may be shared by threads.

    Attributes:
        classifier: Of face crops.
        detector: Of faces; ``None`` says that every picture is a face crop.
        tuning: How it works; the spec that it was built from, or another.
    """

    classifier: FaceClassifier
    detector: Detector | None
    tuning: Tuning = AS_IT_COMES

    @property
    def workers(self) -> int:
        """Threads that read still pictures and find their faces at the same time."""
        return self.tuning.workers or usable_cores()

    def tune(self, **settings: Any) -> FacePipeline:
        """The same pipeline, with the same networks, with other settings of :class:`~cmaen.inference.tuning.Tuning`.

        Raises:
            SettingError: A value is out of its range.
        """
        return replace(self, tuning=replace(self.tuning, **settings))

    def results(self, source: Source, *, keep_images: bool = False) -> Generator[Result, None, None]:
        """See :class:`Pipeline`."""
        return self._watch(source) if source.moving else self._look(source, keep_images)

    def under(self, scheme: str | None, *, contempt: bool = False) -> FacePipeline:
        """The same pipeline under another label scheme, see :meth:`FaceClassifier.under`."""
        return replace(self, classifier=self.classifier.under(scheme, contempt=contempt))

    def detect(self, image: Image, *, moving: bool = False) -> list[FaceBox]:
        """The faces of a picture, the largest first; the whole picture where there is no detector.

        Args:
            image: RGB uint8 [H, W, 3].
            moving: It is a frame of a video, at which a detector that can glance does so.

        Raises:
            DetectorError: The detector fails on it, or gives what is no face; it may be an object of the user's.
        """
        height, width = image.shape[:2]
        if self.detector is None:
            return [FaceBox(0.0, 0.0, float(width), float(height))]
        with guard(DetectorError, f"the detector fails on a picture of {width} x {height} pixels"):
            search = getattr(self.detector, "glance", self.detector) if moving else self.detector
            faces = list(search(image))
        for face in faces:
            if not isinstance(face, FaceBox):
                raise DetectorError(f"the detector gives {type(face).__name__} where cmaen.types.FaceBox is meant")
        return faces

    def crop(self, image: Image, face: FaceBox) -> Image:
        """A face cut out; the whole picture where there is no detector.

        Raises:
            PredictionError: It cannot be.
        """
        if self.detector is None:
            return image
        with guard(PredictionError, "a face cannot be cut out"):
            return self.classifier.crop(image, face)

    def embed_all(self, source: Source) -> Generator[NDArray[np.float32], None, None]:
        """The features of still pictures, float32 [B, F] a batch, see :meth:`embed`."""
        for batch in self._locate_all(source, keep_images=False):
            yield self.embed(batch)

    def answer(self, pending: Pending) -> Result:
        """The result of one still picture, with its pixels, in this thread: for one alone, others would cost time."""
        return next(self.classify([self.locate(pending())]))

    def _look(self, source: Source, keep_images: bool) -> Generator[Result, None, None]:
        for batch in self._locate_all(source, keep_images):
            yield from self.classify(batch)

    def _locate_all(self, source: Source, keep_images: bool) -> Generator[list[Located], None, None]:
        """Still pictures whose faces are found, in batches."""
        batch_size = min(self.tuning.batch_size, _KEPT) if keep_images else self.tuning.batch_size

        def locate(pending: Pending) -> Located:
            located = self.locate(pending())
            return located if keep_images else located._replace(frame=replace(located.frame, image=None))

        def weigh(located: Located) -> Weight:
            return Weight(located.pixels, located.pixels if keep_images else 0)

        most = _PIXELS_KEPT + _PIXELS_WORKED_ON * self.workers
        batch, kept = list[Located](), 0
        failure: Exception | None = None
        with closing(
            ahead(source, locate, workers=self.workers, size=2 * batch_size, weigh=weigh, most=most)
        ) as located:
            try:
                for one in located:
                    batch.append(one)
                    kept += weigh(one).waiting
                    if len(batch) == batch_size or kept >= _PIXELS_KEPT:
                        yield batch
                        batch, kept = [], 0
            except Exception as problem:  # of the source, like a generator of the caller's
                failure = problem
        if batch:
            yield batch
        if failure is not None:  # after the answers to what came before it
            raise failure

    def locate(self, frame: Frame) -> Located:
        """The first half of the way of a still picture: its faces are found, cut out and reduced."""
        if frame.image is None:
            return Located(frame, (), (), frame.error)
        pixels = frame.image.shape[0] * frame.image.shape[1]
        try:
            faces = self.detect(frame.image)
            crops = [self.crop(frame.image, face) for face in faces]
            with guard(PredictionError, "a face cannot be prepared"):
                return Located(frame, faces, [self.classifier.reduce(crop) for crop in crops], None, pixels)
        except CmaenError as problem:
            return Located(frame, (), (), describe(problem), pixels)

    def classify(self, batch: Sequence[Located]) -> Generator[Result, None, None]:
        """The second half: the results of some pictures, whose faces go through the network together.

        Where it fails on all of them together, each goes through it alone.
        """
        try:
            with guard(PredictionError, "the network fails"):
                rows = self.classifier([crop for located in batch for crop in located.crops]).tolist()
        except PredictionError as problem:
            if len(batch) > 1:
                for located in batch:
                    yield from self.classify([located])
            else:
                yield self._answer(batch[0].frame, error=batch[0].error or describe(problem))
            return
        answers = iter(rows)
        for located in batch:
            faces = zip(located.faces, located.crops, strict=True)
            found = [(tuple(next(answers)), face, crop) for face, crop in faces]
            yield self._result(located.frame, found, located.error)

    def embed(self, batch: Sequence[Located]) -> NDArray[np.float32]:
        """Instead of that: the penultimate features of each picture's largest face, float32 [B, F]; NaN without a face.

        Raises:
            CheckpointError: The engine's file does not give them.
        """
        there = [bool(located.crops) for located in batch]
        try:
            with guard(PredictionError, "the network fails"):
                found = self.classifier.features_of([crop for located in batch for crop in located.crops[:1]])
        except PredictionError as problem:
            if len(batch) > 1:
                return np.concatenate([self.embed([located]) for located in batch])
            log.warning("%s: no features: %s", batch[0].frame.name or f"image {batch[0].frame.index}", problem)
            found = self.classifier.features_of([])  # [0, F]
            there = [False]
        features = np.full((len(batch), found.shape[1]), np.nan, np.float32)
        features[there] = found
        return features

    def _watch(self, source: Source) -> Generator[Result, None, None]:
        tracker = FaceTracker(every=self.tuning.detect_every)
        size = 1 if source.live else 4
        with closing(ahead(source, lambda pending: pending(), size=size)) as frames:
            for number, frame in enumerate(frames):
                yield self._follow(tracker, number, frame)

    def _follow(self, tracker: FaceTracker, number: int, frame: Frame) -> Result:
        """The result of the next frame of a video; whatever goes wrong with it costs none of the others."""
        if frame.image is None:
            return self._answer(frame, error=frame.error)
        time = number * _FRAME if frame.time is None else frame.time
        try:
            with guard(PredictionError, "the faces of the frame cannot be followed"):
                return self._answer(frame, tuple(map(self._emotion_of, self._track(tracker, frame.image, time))))
        except CmaenError as problem:
            return self._answer(frame, error=describe(problem))

    def _track(self, tracker: FaceTracker, image: Image, time: float) -> list[Track]:
        """The faces of the next frame, each with an answer of the network."""
        tracks = tracker.follow(image, time)
        if tracker.is_due(time):
            found = self.detect(image, moving=True)
            tracks = tracker.find(found, time, lambda faces: [self._compare(image, face) for face in faces])
        due = [track for track in tracks if track.is_due(time, self.tuning.classify_every)]
        crops = [self.crop(image, track.face) for track in due]
        for track, crop, probabilities in zip(due, crops, self.classifier(crops), strict=True):
            track.update(probabilities, time, self.tuning.smoothing)
            track.doubts = self._doubt(self._emotion_of(track), crop).doubts
        return tracks

    def _compare(self, image: Image, face: FaceBox) -> Likeness | None:
        """What a face of a video is recognised by; nothing where it cannot be cut out."""
        try:
            return Likeness.of(self.crop(image, face))
        except Exception as problem:  # costs an identity, and no answer
            log.debug("a face is not compared: %s", describe(problem))
            return None

    def _result(
        self,
        frame: Frame,
        answers: Sequence[tuple[tuple[float, ...], FaceBox, NDArray[np.uint8]]],
        error: str | None,
    ) -> Result:
        """The result of a picture; an error where the network has overflowed."""
        try:
            faces = (self._doubt(self._emotion(row, box), crop) for row, box, crop in answers)
            return self._answer(frame, tuple(faces), error)
        except ValueError as problem:
            return self._answer(frame, error=describe(problem))

    def _answer(self, frame: Frame, faces: tuple[Face, ...] = (), error: str | None = None) -> Result:
        return Result(frame, faces, error, self.classifier.scheme)

    def _emotion_of(self, track: Track) -> Face:
        assert track.probabilities is not None
        return self._emotion(tuple(track.probabilities.tolist()), track.face, track.number, track.doubts)

    def _emotion(
        self,
        probabilities: tuple[float, ...],
        box: FaceBox,
        identity: int | None = None,
        doubts: tuple[str, ...] = (),
    ) -> Face:
        certainty = certainty_of(probabilities, self.classifier.sharpening)
        face = Face(probabilities, box, identity, self.classifier.labels, self.tuning.threshold, certainty)
        return replace(face, doubts=doubts) if doubts and face.is_unsure else face

    def _doubt(self, face: Face, crop: NDArray[np.uint8]) -> Face:
        """The face with what is wrong with its picture, where its answer is unsure."""
        return replace(face, doubts=find_doubts(crop, face.box.landmarks)) if face.is_unsure else face
