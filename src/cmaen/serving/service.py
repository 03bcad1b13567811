"""The state of the application: the model, the batches, and whether it is ready."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from cmaen.drawing.heat import encode_crop, encode_map
from cmaen.errors import CheckpointError, ConfigError, ImageError
from cmaen.images.reader import count_pixels, read_image
from cmaen.inference.explaining import explain_crops
from cmaen.inference.occlusion import MOST
from cmaen.inference.predictor import EmotionPredictor
from cmaen.inference.sources.images import read_frame
from cmaen.results import Result
from cmaen.serving.batching import Batcher, Embedded
from cmaen.serving.metrics import Metrics
from cmaen.serving.problems import Problem, Room
from cmaen.serving.settings import Settings
from cmaen.serving.uploads import Upload
from cmaen.types import PERCEIVED, Frame

_T = TypeVar("_T")
log = logging.getLogger(__name__)


def prepare_process() -> None:
    """Configure the warnings and logs of a server process."""
    warnings.filterwarnings("ignore", module="PIL")  # odd metadata, and sizes that have a limit of their own
    # it warns about each bad form, which is reported to the client
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def build_predictor(settings: Settings) -> EmotionPredictor:
    """Build the predictor of a server.

    Raises:
        CmaenError: The checkpoint, the detector or the engine cannot be used.
    """
    return EmotionPredictor.from_spec(settings.pipeline)


class Service:
    """The model behind the routes.

    Attributes:
        state: ``loading``, ``ready``, ``stopping``, or the reason why the model cannot be loaded.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.state = "loading"
        self._settings = settings
        self._metrics = metrics
        self._predictor: EmotionPredictor | None = None
        self._predictors: dict[tuple[str, bool], EmotionPredictor] = {}
        self._batcher: Batcher | None = None
        self._room = Room(settings.limits.explanations, "explanations", "too many images are waiting to be explained")
        self._explainer = ThreadPoolExecutor(1, "explain")

    def load(self) -> None:
        """Load the model and run it once, so that the first request is not slow."""
        try:
            predictor = build_predictor(self._settings)
            predictor.predict_single(np.zeros((480, 640, 3), np.uint8))
            predictor.predict_single(np.zeros((112, 112, 3), np.uint8), detect=False)
        except Exception as error:
            log.exception("the model cannot be loaded")
            self.state = f"the model cannot be loaded: {error}"
            return
        self._predictor = predictor
        self._batcher = Batcher(predictor.pipeline, limits=self._settings.limits, metrics=self._metrics)
        self.state = "ready"

    def close(self) -> None:
        """Finish the accepted requests, and accept no more."""
        self.state = "stopping"
        if self._batcher is not None:
            self._batcher.close()
        self._explainer.shutdown()

    def predictor(self, scheme: str | None, *, contempt: bool = False) -> EmotionPredictor:
        """Return the predictor for a label scheme; ``None``: that of the server.

        Raises:
            Problem: The model is not ready, or does not have the scheme.
        """
        predictor, _ = self._ready()
        asked = scheme or predictor.scheme, contempt and (scheme or predictor.scheme) == PERCEIVED
        if asked not in self._predictors:
            try:
                self._predictors[asked] = predictor.under(asked[0], contempt=asked[1])
            except ConfigError as error:
                raise Problem(422, str(error)) from error
        return self._predictors[asked]

    def check_room(self) -> None:
        """Refuse a request before its body is read if it cannot be answered now.

        Raises:
            Problem: The queue has no room, or the model is not ready.
        """
        self._ready()[1].check_room()

    async def predict(
        self, uploads: list[Upload], *, detect: bool, scheme: str | None = None, contempt: bool = False
    ) -> list[Result]:
        """Predict one result for each upload, in order.

        Raises:
            Problem: The queue has no room, the model is not ready, or it does not have the label scheme.
        """
        _, batcher = self._ready()
        classifier = self.predictor(scheme, contempt=contempt).pipeline.classifier
        pictures = [self._reader(*numbered) for numbered in enumerate(uploads)]
        sizes = [partial(self._size, upload) for upload in uploads]
        return await _all(batcher.submit(pictures, detect=detect, classifier=classifier, sizes=sizes))

    async def embed(self, uploads: list[Upload], *, detect: bool) -> list[Embedded]:
        """Compute the features of the largest face in each upload, in order.

        Raises:
            Problem: The queue has no room, the model is not ready, or it returns no features.
        """
        _, batcher = self._ready()
        pictures = [self._reader(*numbered) for numbered in enumerate(uploads)]
        sizes = [partial(self._size, upload) for upload in uploads]
        answers = batcher.embed(pictures, detect=detect, sizes=sizes)
        try:
            return await _all(answers)
        except CheckpointError as error:
            raise Problem(501, f"this server cannot compute features: {error}") from error

    async def explain(
        self, uploads: list[Upload], results: list[Result], *, detect: bool, scheme: str | None = None
    ) -> list[list[dict[str, str]]]:
        """Explain the answers: return ``crop`` and ``explanation`` of the 16 largest faces in each upload.

        Raises:
            Problem: There are too many images, in this request or waiting to be explained.
        """
        predictor = self.predictor(scheme)
        if len(uploads) > self._room.places:
            raise Problem(422, f"at most {self._room.places} images per request can be explained, not {len(uploads)}")
        with self._room.reserve(len(uploads)):
            return await _all(
                [
                    self._explainer.submit(self._explain_upload, predictor, upload, result, detect)
                    for upload, result in zip(uploads, results, strict=True)
                ]
            )

    def _explain_upload(
        self, predictor: EmotionPredictor, upload: Upload, result: Result, detect: bool
    ) -> list[dict[str, str]]:
        if not result.faces:
            return []
        limits, faces = self._settings.limits, result.faces[:MOST]
        pipeline = predictor.pipeline if detect else replace(predictor.pipeline, detector=None)
        try:
            pixels = read_image(upload.content, max_pixels=limits.pixels, max_seconds=limits.decode_seconds)
        except ImageError as error:  # the image has an answer, but this time decoding was too slow
            log.warning("an answer was sent without its explanation: %s", error)
            return []
        crops = [pipeline.crop(pixels, face.box) for face in faces]
        explained = explain_crops(crops, faces, pipeline.classifier).faces
        return [{"crop": encode_crop(one.crop), "explanation": encode_map(one.heat)} for one in explained]

    def _reader(self, index: int, upload: Upload) -> partial[Frame]:
        if upload.error is not None:
            return partial(Frame, index, upload.name, error=upload.error)
        limits = self._settings.limits
        return partial(
            read_frame,
            index,
            upload.name,
            lambda: upload.content,
            max_pixels=limits.pixels,
            max_seconds=limits.decode_seconds,
        )

    def _size(self, upload: Upload) -> int:
        """Count the pixels that will be decoded; 0 if the image exceeds the limit."""
        pixels = count_pixels(upload.content)
        return pixels if pixels <= self._settings.limits.pixels else 0

    def _ready(self) -> tuple[EmotionPredictor, Batcher]:
        if self.state != "ready" or self._predictor is None or self._batcher is None:
            raise Problem(503, f"the server is not ready: {self.state}", retry_after=1, refused="not ready")
        return self._predictor, self._batcher


async def _all(answers: Iterable[Future[_T]]) -> list[_T]:
    """Wait for the results of all futures; cancellation also cancels the futures that have not started."""
    return list(await asyncio.gather(*map(asyncio.wrap_future, answers)))
