"""The predictor: images in, plain dicts out."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from importlib.resources import files
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from cmaen.card import read_card
from cmaen.engines import build_engine, probabilities
from cmaen.errors import CmaenError, MissingExtraError, NoFaceError
from cmaen.images import ImageSource, read_image
from cmaen.inference.alignment import crop_face
from cmaen.inference.detectors import AUTO, build_detector
from cmaen.types import EMOTIONS, FaceBox, FaceEmotion, Image, Prediction

if TYPE_CHECKING:
    from cmaen.explanation import Explainer
    from cmaen.inference.video import AnalysedFrame

BATCH_SIZE = 32
_T = TypeVar("_T")


class _Found(NamedTuple):
    """A face and its crop, RGB uint8 [h, w, 3]."""

    face: FaceBox
    crop: Image


class EmotionPredictor:
    """Recognises the emotions of the faces in images.

    Args:
        checkpoint: Folder of a checkpoint; ``None`` for the weights that come with the package.
        detector: See :func:`cmaen.inference.detectors.build_detector`.
        engine: ``onnx``, ``openvino`` or ``torch``.
        threads: Of the engine; ``None`` for all cores.
        workers: Images of a batch that are decoded and searched at the same time; ``None`` for one a core.

    One predictor may be used by several threads at the same time.

    Raises:
        CheckpointError: The checkpoint is missing or cannot be used.
        DetectorError: The detector is unknown or cannot be loaded.
    """

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        detector: str = AUTO,
        engine: str = "onnx",
        threads: int | None = None,
        workers: int | None = None,
    ) -> None:
        folder = shipped_checkpoint() if checkpoint is None else Path(checkpoint)
        self.card = read_card(folder)
        if self.card.enhancement:
            raise CmaenError(
                f"{folder} was trained on enhanced images ({self.card.enhancement}), which cannot be made here"
            )
        self._engine = build_engine(engine, folder, threads=threads)
        self._folder = folder
        self._explainer: Explainer | None = None
        self._detector_name = detector
        if detector != AUTO:
            build_detector(detector)  # so that what is wrong with it is said at once
        self._own = threading.local()  # detectors are not made to be shared by threads
        self._workers = workers or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._workers, "cmaen", initializer=self._one_thread_each)

    def predict_single(self, image: ImageSource, detect: bool = True) -> dict[str, Any]:
        """The emotions of one image.

        Args:
            image: A path, bytes, a PIL image, or an array: RGB uint8 [H, W, 3] or grey uint8 [H, W].
            detect: Find, align and crop the faces first; ``False`` says that the image is a face crop already.

        Returns:
            ``status`` ("ok", "no_face" or "error") and ``error``; ``predicted_emotion``, ``confidence`` and
            ``probabilities`` of the largest face; and all ``faces``, the largest first. A bad image is a status, not an
            exception.
        """
        return self.predict_batch([image], detect)[0]

    def predict_batch(
        self, images: Iterable[ImageSource], detect: bool = True, batch_size: int = BATCH_SIZE
    ) -> list[dict[str, Any]]:
        """One dict for each image, in their order; see :meth:`predict_single`."""
        return [prediction.as_dict() for prediction in self.predict_each(images, detect, batch_size)]

    def predict_faces(self, image: ImageSource) -> list[dict[str, Any]]:
        """The faces of one image, the largest first.

        Raises:
            ImageError: The image cannot be used.
        """
        return [face.as_dict() for face in self._judge([self._find(image, detect=True)])[0].faces]

    def get_top_k_predictions(self, image: ImageSource, k: int = 3, detect: bool = True) -> list[tuple[str, float]]:
        """The ``k`` most probable emotions of the largest face; an empty list where there is none.

        Raises:
            ImageError: The image cannot be used.
            ValueError: ``k`` is not 1 to 7.
        """
        if not 1 <= k <= len(EMOTIONS):
            raise ValueError(f"k must be 1 to {len(EMOTIONS)}, not {k}")
        faces = self._judge([self._find(image, detect)])[0].faces
        if not faces:
            return []
        return sorted(zip(EMOTIONS, faces[0].probabilities, strict=True), key=lambda pair: -pair[1])[:k]

    def real_time_webcam(
        self,
        camera_index: int = 0,
        save_video: bool = False,
        output_path: str | Path | None = None,
        *,
        display: bool = True,
        smoothing: float = 0.4,
    ) -> None:
        """Watch a webcam until q is pressed, the window is closed, Ctrl-C is pressed or the camera is gone.

        Args:
            camera_index: Which camera.
            save_video: Write a video with the faces drawn.
            output_path: Where to; default: ``output.avi``.
            display: Show it in a window.
            smoothing: Seconds over which answers are smoothed; 0 for none.

        Raises:
            VideoError: There is no such camera, or no display.
            OutputError: The video cannot be written.
            MissingExtraError: The extra ``video`` is not installed.
        """
        target = Path(output_path or "output.avi") if save_video else None
        _watching().watch_source(camera_index, self, save_video=target, display=display, smoothing=smoothing)

    def video(
        self, source: int | str | Path, *, smoothing: float = 0.4
    ) -> AbstractContextManager[Iterator[AnalysedFrame]]:
        """The frames of a video or a camera with their faces, as they come.

        ``with predictor.video("in.mp4") as frames: for frame in frames: print(frame.time, frame.faces)``

        Args:
            source: A file, an address, or the index of a camera; let go of at the end of the ``with`` block.
            smoothing: Seconds over which answers are smoothed; 0 for none.

        Raises:
            VideoError: It cannot be opened (on entering), or not one frame can be decoded.
            MissingExtraError: The extra ``video`` is not installed.
        """
        frames: AbstractContextManager[Iterator[AnalysedFrame]] = _watching().analysed(
            source, self, smoothing=smoothing
        )
        return frames

    def locate(self, image: Image) -> list[FaceBox]:
        """The faces of a picture, RGB uint8 [H, W, 3], the largest first: the first step alone."""
        if not hasattr(self._own, "detector"):
            self._own.detector = build_detector(self._detector_name, threads=getattr(self._own, "threads", None))
        return list(self._own.detector(image))

    def crop(self, image: Image, face: FaceBox) -> Image:
        """A face cut out and aligned, RGB uint8 [side, side, 3]: the second step alone."""
        return crop_face(image, face, self.card.crop)

    def classify(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Probabilities float64 [N, 7] of face crops, :data:`BATCH_SIZE` at a time: the third step alone."""
        if not crops:
            return np.empty((0, len(EMOTIONS)))
        parts = [crops[start : start + BATCH_SIZE] for start in range(0, len(crops), BATCH_SIZE)]
        logits = np.concatenate([self._engine(self.card.preprocess(part)) for part in parts])
        return probabilities(logits, self.card.temperature)

    def explain(self, image: ImageSource, detect: bool = True) -> Image:
        """What the answer for the largest face depends on: its crop with a map over it, RGB uint8 [S, S, 3].

        The map is :attr:`cmaen.explanation.Explanation.gradient`: bright places add to the answer or take from it.

        Raises:
            ImageError: The image cannot be used.
            NoFaceError: There is no face in it.
            MissingExtraError: The extra ``report`` is not installed.
            CheckpointError: The checkpoint has no ``model.safetensors``.
        """
        try:
            from cmaen.explanation import Explainer, overlay
        except ModuleNotFoundError as error:
            raise MissingExtraError("explaining", "report") from error
        found = self._find(image, detect)
        if not found:
            raise NoFaceError("there is no face to explain in the image; detect=False says that it is a face crop")
        if self._explainer is None:
            self._explainer = Explainer(self._folder)
        crop = found[0].crop
        return overlay(crop, self._explainer.explain([crop])[0].gradient)

    def predict_each(
        self, images: Iterable[ImageSource], detect: bool = True, batch_size: int = BATCH_SIZE
    ) -> Iterator[Prediction]:
        """One :class:`~cmaen.types.Prediction` for each image, in order; ``batch_size`` images are judged together.

        Raises:
            TypeError: ``images`` is a single path or the bytes of a single image.
            ValueError: ``batch_size`` is below 1.
        """
        if isinstance(images, str | bytes | PathLike):
            raise TypeError("this takes a list of images; for one image use predict_single")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        everything = self._ahead(
            lambda image: self._find_or_say(image, detect), images, 2 * max(batch_size, self._workers)
        )
        while found := list(islice(everything, batch_size)):
            judged = iter(self._judge([faces for faces in found if not isinstance(faces, Prediction)]))
            for faces in found:
                yield faces if isinstance(faces, Prediction) else next(judged)

    def _ahead(self, find: Callable[[ImageSource], _T], images: Iterable[ImageSource], window: int) -> Iterator[_T]:
        """What is found in each image, in order; other threads search the images ahead, at most so many."""
        remaining = iter(images)
        first = list(islice(remaining, 2))
        if len(first) < 2:  # a single image is served best by all cores and no other thread
            yield from map(find, first)
            return
        waiting: deque[Future[_T]] = deque()
        try:
            for image in chain(first, remaining):
                waiting.append(self._pool.submit(find, image))
                if len(waiting) >= window:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _one_thread_each(self) -> None:
        """In a worker: its detector shares the cores with those of the other workers."""
        self._own.threads = 1

    def _find_or_say(self, image: ImageSource, detect: bool) -> list[_Found] | Prediction:
        """The faces of one image, or what is wrong with it."""
        try:
            return self._find(image, detect)
        except CmaenError as error:
            return Prediction("error", error=f"{type(error).__name__}: {error}")

    def _find(self, image: ImageSource, detect: bool) -> list[_Found]:
        """The faces of one image with their crops; the image itself is not kept."""
        pixels = read_image(image)
        if not detect:
            height, width = pixels.shape[:2]
            return [_Found(FaceBox(0.0, 0.0, float(width), float(height)), pixels)]
        return [_Found(face, self.crop(pixels, face)) for face in self.locate(pixels)]

    def _judge(self, found: list[list[_Found]]) -> list[Prediction]:
        """The prediction for the faces of each image; all of them go through the engine together."""
        rows = iter(self.classify([crop for faces in found for _, crop in faces]).tolist())
        predictions = []
        for faces in found:
            emotions = tuple(FaceEmotion(tuple(next(rows)), face) for face, _ in faces)
            predictions.append(Prediction("ok" if emotions else "no_face", emotions))
        return predictions


def _watching() -> Any:
    """The module for videos, which needs an extra.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from cmaen.inference import watch
    except ModuleNotFoundError as error:
        raise MissingExtraError("video", "video") from error
    return watch


def shipped_checkpoint() -> Path:
    """The folder of the weights that come with the package."""
    return Path(str(files("cmaen") / "weights"))
