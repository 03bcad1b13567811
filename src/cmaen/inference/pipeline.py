"""The pipeline of every image: detection, tracking in a video, alignment, classification, smoothing over time."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cmaen.errors import CmaenError, DetectorError, PredictionError, describe, guard
from cmaen.inference.classifier import FaceClassifier
from cmaen.inference.detectors import Detector
from cmaen.inference.doubts import find_doubts, measure_clarity
from cmaen.inference.likeness import Likeness
from cmaen.inference.people.embedding import Look
from cmaen.inference.people.films import FilmPeople
from cmaen.inference.people.pictures import PicturePeople
from cmaen.inference.readahead import Weight, ahead
from cmaen.inference.smoothing import hold_back
from cmaen.inference.sources import Pending, Source
from cmaen.inference.tracking import FaceTracker, Track
from cmaen.inference.tuning import AS_IT_COMES, Tuning
from cmaen.resources import usable_cores
from cmaen.results import Face, Result
from cmaen.types import FaceBox, Frame, Image, certainty_of

log = logging.getLogger(__name__)

_KEPT = 8
"""Largest batch of still images whose pixels are kept."""
_PIXELS_KEPT = 32_000_000
_PIXELS_WORKED_ON = 16_000_000
"""Pixels of still images in memory: kept images that wait, and the share that each worker adds."""
_FRAME = 1 / 25
"""Seconds between two frames of a video whose source gives no times."""


class Pipeline(Protocol):
    """Turns the frames of a source into results."""

    def results(self, source: Source, *, keep_images: bool = False) -> Generator[Result, None, None]:
        """Yield one result for each frame, in order, with its pixels if ``keep_images`` is set."""
        ...


class Located(NamedTuple):
    """A frame with its detected faces, or with an error.

    Attributes:
        frame: The frame.
        faces: Boxes of the faces, the largest first.
        crops: Reduced crop of each face, uint8; the network's input, which takes a hundred times as much memory, is
            only made with the batch.
        error: Why there are no faces; ``None`` if nothing failed.
    """

    frame: Frame
    faces: Sequence[FaceBox]
    crops: Sequence[NDArray[np.uint8]]
    error: str | None
    pixels: int = 0
    """Number of pixels of the image, even if they are not kept."""
    looks: Sequence[Look | None] = ()
    """Features of each face, if people are recognised."""


_Named = tuple[int, str | None]


class _Seen(NamedTuple):
    """A frame of a video with its faces, as it waits for the answers around it.

    Attributes:
        frame: The frame, with its pixels if they are kept.
        time: Its time, in seconds.
        tracks: Copies of the tracks of its faces, as they were then.
        names: The number of each, and its person if people are recognised.
        error: Why there is no answer; ``None`` if nothing failed.
    """

    frame: Frame
    time: float
    tracks: Sequence[Track] = ()
    names: Sequence[_Named] = ()
    error: str | None = None


@dataclass(frozen=True)
class FacePipeline:
    """Finds and classifies faces; safe to share between threads.

    Attributes:
        classifier: Classifier of face crops.
        detector: Face detector; ``None`` if every image is a face crop.
        tuning: Settings of the pipeline, such as the spec that it was built from.
        people: Who is seen in the next source, which is of that kind; ``None`` if people are not recognised.
    """

    classifier: FaceClassifier
    detector: Detector | None
    tuning: Tuning = AS_IT_COMES
    people: FilmPeople | PicturePeople | None = None

    @property
    def workers(self) -> int:
        """Number of threads that read still images and find their faces."""
        return self.tuning.workers or usable_cores()

    def tune(self, **settings: Any) -> FacePipeline:
        """Return the same pipeline and networks with other settings, see :class:`~cmaen.inference.tuning.Tuning`.

        Raises:
            SettingError: A value is out of its range.
        """
        return replace(self, tuning=replace(self.tuning, **settings))

    def results(self, source: Source, *, keep_images: bool = False) -> Generator[Result, None, None]:
        """See :class:`Pipeline`."""
        return self._watch(source, keep_images) if source.moving else self._look(source, keep_images)

    def under(self, scheme: str | None, *, contempt: bool = False) -> FacePipeline:
        """Return the same pipeline under another label scheme, see :meth:`FaceClassifier.under`."""
        return replace(self, classifier=self.classifier.under(scheme, contempt=contempt))

    def detect(self, image: Image, *, moving: bool = False) -> list[FaceBox]:
        """Find the faces of an image, the largest first; without a detector, the whole image is one face.

        Args:
            image: RGB uint8 [H, W, 3].
            moving: Whether it is a frame of a video; a detector with a method ``glance`` then uses it.

        Raises:
            DetectorError: The detector fails, or returns something else than boxes; it may be the user's own.
        """
        height, width = image.shape[:2]
        if self.detector is None:
            return [FaceBox(0.0, 0.0, float(width), float(height))]
        with guard(DetectorError, f"the detector fails on an image of {width} x {height} pixels"):
            search = getattr(self.detector, "glance", self.detector) if moving else self.detector
            faces = list(search(image))
        for face in faces:
            if not isinstance(face, FaceBox):
                raise DetectorError(f"the detector returns {type(face).__name__} instead of cmaen.types.FaceBox")
        return faces

    def crop(self, image: Image, face: FaceBox) -> Image:
        """Cut out a face; without a detector, return the whole image.

        Raises:
            PredictionError: The face cannot be cut out.
        """
        if self.detector is None:
            return image
        with guard(PredictionError, "a face cannot be cut out"):
            return self.classifier.crop(image, face)

    def embed_all(self, source: Source) -> Generator[NDArray[np.float32], None, None]:
        """Yield the features of still images, float32 [B, F] per batch, see :meth:`embed`."""
        for batch in self._locate_all(source, keep_images=False):
            yield self.embed(batch)

    def answer(self, pending: Pending) -> Result:
        """Process one still image in this thread and keep its pixels; a single image gains nothing from others."""
        return next(self.classify([self.locate(pending())]))

    def _look(self, source: Source, keep_images: bool) -> Generator[Result, None, None]:
        for batch in self._locate_all(source, keep_images):
            yield from self.classify(batch)

    def _locate_all(self, source: Source, keep_images: bool) -> Generator[list[Located], None, None]:
        """Yield still images with their faces found, in batches."""
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
            except Exception as problem:  # from the source, such as a generator of the caller
                failure = problem
        if batch:
            yield batch
        if failure is not None:  # raised only after the answers to the images before it
            raise failure

    def locate(self, frame: Frame) -> Located:
        """Do the first half of the work on a still image: find its faces, cut them out and reduce them."""
        if frame.image is None:
            return Located(frame, (), (), frame.error)
        pixels = frame.image.shape[0] * frame.image.shape[1]
        try:
            faces = self.detect(frame.image)
            crops = [self.crop(frame.image, face) for face in faces]
            looks = self.people.look(frame.image, faces) if isinstance(self.people, PicturePeople) else ()
            with guard(PredictionError, "a face cannot be prepared"):
                return Located(frame, faces, [self.classifier.reduce(crop) for crop in crops], None, pixels, looks)
        except CmaenError as problem:
            return Located(frame, (), (), describe(problem), pixels)

    def classify(self, batch: Sequence[Located]) -> Generator[Result, None, None]:
        """Do the second half: classify the faces of several images together and yield the results.

        If the network fails on all of them together, each image is classified alone.
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
            yield self._meet(self._result(located.frame, found, located.error), located.looks)

    def embed(self, batch: Sequence[Located]) -> NDArray[np.float32]:
        """Compute features instead of answers: those of each image's largest face, float32 [B, F]; NaN without a face.

        Raises:
            CheckpointError: The engine's file does not provide features.
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

    def _watch(self, source: Source, keep_images: bool) -> Generator[Result, None, None]:
        tracker = FaceTracker(every=self.tuning.detect_every)
        prompt = source.live or getattr(source, "prompt", False)
        window = None if prompt else self.tuning.smoothing
        with closing(ahead(source, lambda pending: pending(), size=1 if source.live else 4)) as frames:
            seen = (self._follow(tracker, number, frame, window, keep_images) for number, frame in enumerate(frames))
            for one in hold_back(seen, window / 2) if window else seen:
                yield self._conclude(one, window)

    def _follow(
        self, tracker: FaceTracker, number: int, frame: Frame, window: float | None, keep_images: bool
    ) -> _Seen:
        """Process the next frame of a video; an error in it does not affect the other frames."""
        time = number * _FRAME if frame.time is None else frame.time
        if frame.image is None:
            return _Seen(frame, time, error=frame.error)
        kept = frame if keep_images else replace(frame, image=None)
        try:
            with guard(PredictionError, "the faces of the frame cannot be tracked"):
                tracks = self._track(tracker, frame.image, time, window)
                return _Seen(kept, time, [copy(track) for track in tracks], list(map(self._name, tracks)))
        except CmaenError as problem:
            return _Seen(kept, time, error=describe(problem))

    def _conclude(self, seen: _Seen, window: float | None) -> Result:
        """Answer a frame, once the answers around it are there."""
        try:
            with guard(PredictionError, "the faces of the frame have no answer"):
                for track in seen.tracks if window else ():
                    if (smoothed := track.stretch.smooth(seen.time, window or 0.0)) is not None:
                        track.probabilities, track.independent = smoothed
                faces = [
                    replace(self._emotion_of(track), identity=number, person=person)
                    for track, (number, person) in zip(seen.tracks, seen.names, strict=True)
                ]
                faces.sort(key=lambda face: (-face.box.area, face.box.x, face.box.y))
                return self._answer(seen.frame, tuple(faces), seen.error)
        except CmaenError as problem:
            return self._answer(seen.frame, error=describe(problem))

    def _track(self, tracker: FaceTracker, image: Image, time: float, window: float | None) -> list[Track]:
        """Track the faces into the next frame, and classify those whose answer is due.

        Without a window in which the answers are smoothed later, they fade: half of one, as a time constant, leaves as
        much of their noise.
        """
        tracks = tracker.follow(image, time)
        if tracker.is_due(time):
            found = self.detect(image, moving=True)
            tracks = tracker.find(found, time, lambda faces: [self._compare(image, face) for face in faces])
            if isinstance(self.people, FilmPeople):
                self.people.follow(image, tracks, time)
        if isinstance(self.people, FilmPeople):
            tracks = self.people.show(tracks)
        due = [track for track in tracks if track.is_due(time, self.tuning.classify_every)]
        crops = [self.crop(image, track.face) for track in due]
        for track, crop, probabilities in zip(due, crops, self.classifier(crops), strict=True):
            track.update(probabilities, time, self.tuning.smoothing / 2 if window is None else 0.0)
            if window:
                track.stretch.add(probabilities, time)
            track.clarity = self._clarity(crop)
            track.doubts = self._doubt(self._emotion_of(track), crop).doubts
        return tracks

    def _name(self, track: Track) -> _Named:
        """Return the number and the person of a track, as far as it is known now, if people are recognised."""
        return self.people.name(track) if isinstance(self.people, FilmPeople) else (track.number, None)

    def _meet(self, result: Result, looks: Sequence[Look | None]) -> Result:
        """Name the people of a picture, and leave out those who are excluded."""
        if not isinstance(self.people, PicturePeople) or not result.faces:
            return result
        met = self.people.meet(looks)
        pairs = zip(result.faces, met, strict=True)
        return replace(result, faces=tuple(replace(face, person=one.name) for face, one in pairs if not one.hidden))

    def _compare(self, image: Image, face: FaceBox) -> Likeness | None:
        """Describe the appearance of a face for recognition; ``None`` if it cannot be cut out."""
        try:
            return Likeness.of(self.crop(image, face))
        except Exception as problem:  # an identity may be lost, but no answer
            log.debug("a face cannot be compared: %s", describe(problem))
            return None

    def _result(
        self,
        frame: Frame,
        answers: Sequence[tuple[tuple[float, ...], FaceBox, NDArray[np.uint8]]],
        error: str | None,
    ) -> Result:
        """Build the result of an image; an error if the network has overflowed."""
        try:
            faces = (
                self._doubt(self._emotion(row, box, clarity=self._clarity(crop)), crop) for row, box, crop in answers
            )
            return self._answer(frame, tuple(faces), error)
        except ValueError as problem:
            return self._answer(frame, error=describe(problem))

    def _answer(self, frame: Frame, faces: tuple[Face, ...] = (), error: str | None = None) -> Result:
        return Result(frame, faces, error, self.classifier.scheme)

    def _emotion_of(self, track: Track) -> Face:
        assert track.probabilities is not None
        answers = tuple(track.probabilities.tolist())
        return self._emotion(answers, track.face, track.number, track.doubts, track.independent, track.clarity)

    def _emotion(
        self,
        probabilities: tuple[float, ...],
        box: FaceBox,
        identity: int | None = None,
        doubts: tuple[str, ...] = (),
        independent: float = 1.0,
        clarity: float = 1.0,
    ) -> Face:
        certainty = certainty_of(probabilities, self.classifier.sharpening * independent * clarity)
        face = Face(probabilities, box, identity, self.classifier.labels, self.tuning.threshold, certainty)
        return replace(face, doubts=doubts) if doubts and face.is_unsure else face

    def _clarity(self, crop: NDArray[np.uint8]) -> float:
        """Measure by how much the confidence falls; a confidence that is the probability itself does not."""
        return 1.0 if self.classifier.sharpening == 1 else measure_clarity(crop)

    def _doubt(self, face: Face, crop: NDArray[np.uint8]) -> Face:
        """Add the faults of a face's image if its answer is unsure."""
        return replace(face, doubts=find_doubts(crop, face.box.landmarks)) if face.is_unsure else face
