"""The predictor: images in, plain dicts out. A thin facade over sources, a pipeline and sinks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from cmaen.checkpoints import SHIPPED, Checkpoint, Where
from cmaen.errors import CmaenError, NoFaceError
from cmaen.images import Channels, ImageInput, name_of, read_image
from cmaen.inference.alignment import read_boxes
from cmaen.inference.detectors import DEFAULT, Detector, DetectorOptions
from cmaen.inference.explaining import OCCLUSION, ExplainedPicture, explain_crops
from cmaen.inference.pipeline import FacePipeline
from cmaen.inference.sources.images import FolderSource, ListSource
from cmaen.inference.spec import PipelineSpec, name_checkpoint
from cmaen.inference.watching import Watcher
from cmaen.notebook import follow, in_notebook
from cmaen.results import Answer, Answers, Face, Result
from cmaen.several import require_several
from cmaen.types import FaceBox, Frame, Image

Images = Iterable[ImageInput] | str | PathLike[str]
"""Several images; or the path of a folder, for all images in it and in the folders below, by name."""


class EmotionPredictor(Watcher):
    """Recognises the emotions of the faces in images. Several threads may use one; a copy shares its networks.

    It can be pickled, for other processes: there it is built anew from its spec.

    Args:
        checkpoint: ``None`` or ``cmaen-m`` for the weights that come with the package; a folder; an address or a
            repository, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        detector: A name as :func:`cmaen.inference.detectors.build_detector` takes it, or an object of your own: called
            with RGB uint8 [H, W, 3], by several threads at the same time, it gives face boxes, the largest first.
        options, engine, threads, device, workers, threshold, scheme, contempt, max_pixels: See
            :class:`~cmaen.inference.spec.PipelineSpec`, which has their meanings and ranges.
        channels: Of the arrays that the methods are given: ``rgb``, or ``bgr`` for what OpenCV reads. Files and PIL
            images have their own order, and a detector always sees RGB.

    Raises:
        CheckpointError: The checkpoint is missing or cannot be used.
        ConfigError: There is no such engine or label scheme, or the engine cannot compute on the device here.
        DetectorError: The detector is unknown or cannot be loaded.
        SettingError: A value is out of its range; the message lists every one. A :class:`ValueError`, too.
        ValueError: There are no such channels.

    Attributes:
        spec: What it was built from.
        card: Of the checkpoint.
        scheme: The name of the label scheme.
        labels: Of the answers, in the order of their probabilities.
    """

    def __init__(
        self,
        checkpoint: Where = None,
        *,
        detector: str | Detector = DEFAULT,
        options: DetectorOptions | None = None,
        engine: str = PipelineSpec.engine,
        threads: int | None = PipelineSpec.threads,
        device: str = PipelineSpec.device,
        workers: int | None = PipelineSpec.workers,
        threshold: float = PipelineSpec.threshold,
        scheme: str | None = PipelineSpec.scheme,
        contempt: bool = PipelineSpec.contempt,
        channels: Channels = "rgb",
        max_pixels: int = PipelineSpec.max_pixels,
    ) -> None:
        name, own = (detector, None) if isinstance(detector, str) else (None, detector)
        spec = PipelineSpec(
            checkpoint=name_checkpoint(checkpoint),
            detector=name, options=options or PipelineSpec.options,
            engine=engine, threads=threads, device=device, workers=workers,
            threshold=threshold, scheme=scheme, contempt=contempt, max_pixels=max_pixels,
        )  # fmt: skip
        self._begin(spec, own, channels)

    @classmethod
    def from_spec(
        cls, spec: PipelineSpec, *, detector: Detector | None = None, channels: Channels = "rgb"
    ) -> EmotionPredictor:
        """The predictor of a spec, with a detector of your own or that of the spec; see the predictor itself."""
        predictor = object.__new__(cls)
        predictor._begin(spec, detector, channels)
        return predictor

    def _begin(self, spec: PipelineSpec, detector: Detector | None, channels: Channels) -> None:
        if channels not in get_args(Channels):
            raise ValueError(f"channels must be one of {list(get_args(Channels))}, not {channels!r}")
        self.spec, self._detector, self._channels = spec, detector, channels
        self.pipeline = spec.build(detector=detector)
        classifier = self.pipeline.classifier
        self.card, self.scheme, self.labels = classifier.card, classifier.scheme, classifier.labels
        self._explainers: dict[str, Any] = {}  # by label scheme

    def __repr__(self) -> str:
        own = self._detector
        finder = self.spec.detector if own is None else getattr(own, "__name__", type(own).__name__)
        contempt = " with contempt" if self.spec.contempt else ""
        return (
            f"EmotionPredictor(checkpoint {self.card.name}, engine {self.pipeline.classifier.engine}, "
            f"scheme {self.scheme}{contempt}, detector {finder})"
        )

    @classmethod
    def from_pretrained(
        cls,
        name: str | PathLike[str] = SHIPPED,
        *,
        sha256: str | None = None,
        revision: str | None = None,
        **options: Any,
    ) -> EmotionPredictor:
        """The predictor of a checkpoint by its name, which is fetched once where it is not here.

        ``EmotionPredictor.from_pretrained("owner/name", revision="v1")``

        Args:
            name: ``cmaen-m``, a folder, an address or a repository, see :meth:`cmaen.checkpoints.Checkpoint.open`.
            sha256: Of the zip, in hex; an address must have it.
            revision: Of the repository.
            **options: Of the predictor, like ``engine`` and ``detector``.

        Raises:
            CheckpointError: There is no such checkpoint, it cannot be fetched or used.
            MissingExtraError: A repository needs the extra ``hub``.
            OutputError: The cache cannot be written.
            DetectorError: The detector is unknown or cannot be loaded.
        """
        return cls(Checkpoint.open(name, sha256=sha256, revision=revision), **options)

    def under(self, scheme: str | None, *, contempt: bool = False) -> EmotionPredictor:
        """The same predictor, with the same networks, under another ``scheme``; see the predictor's arguments.

        Raises:
            ConfigError: The checkpoint does not have the scheme.
        """
        other = copy(self)
        other.spec = replace(self.spec, scheme=scheme, contempt=contempt)
        other.pipeline = self.pipeline.under(scheme, contempt=contempt)
        other.scheme, other.labels = other.pipeline.classifier.scheme, other.pipeline.classifier.labels
        return other

    def __getstate__(self) -> tuple[PipelineSpec, Detector | None, Channels]:
        return self.spec, self._detector, self._channels

    def __setstate__(self, state: tuple[PipelineSpec, Detector | None, Channels]) -> None:
        self._begin(*state)

    def __copy__(self) -> EmotionPredictor:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def predict(self, image: ImageInput, detect: bool = True) -> Result:
        """The emotions of one image as a :class:`~cmaen.results.Result`, which keeps the pixels to show itself.

        ``predictor.predict("photo.jpg").plot().save("faces.png")``

        Args:
            image: See :meth:`predict_single`.
            detect: Likewise.

        Its faces have their crops, the largest comes first. A bad image is a status, not an exception.
        """
        pipeline = self._pipeline(detect)
        result = self._answer(image, pipeline)
        pixels = result.image
        if pixels is None:
            return result
        if isinstance(image, np.ndarray) and np.may_share_memory(image, pixels):
            pixels = pixels.copy()  # the caller may paint over it
        faces = tuple(replace(face, crop=pipeline.crop(pixels, face.box)) for face in result.faces)
        return replace(result, frame=replace(result.frame, image=pixels), faces=faces)

    def predict_single(self, image: ImageInput, detect: bool = True) -> dict[str, Any]:
        """The emotions of one image.

        Args:
            image: A path, the content of a file (``bytes``, ``bytearray``, ``memoryview``, base64 text, a data URL), an
                open file, a PIL image, or an array of uint8: RGB [H, W, 3], RGBA [H, W, 4] (see the predictor's
                ``channels``) or grey [H, W].
            detect: Find, align and crop the faces first; ``False`` says that the image is a face crop already.

        Returns:
            ``status`` ("ok", "no_face" or "error") and ``error``; ``scheme``; ``predicted_emotion``, ``confidence`` and
            ``probabilities`` of the largest face; and all ``faces``, the largest first. A bad image is a status, not an
            exception.
        """
        return self._answer(image, self._pipeline(detect)).to_dict()

    def predict_batch(
        self,
        images: Images,
        detect: bool = True,
        batch_size: int = PipelineSpec.batch_size,
    ) -> Answers:
        """A list with one dict for each image, in their order; see :meth:`predict_single` and :meth:`predict_each`.

        In a notebook a bar shows how far it is, and the list is a table; ``.to_pandas()`` makes it a data frame.

        Raises:
            CmaenError, TypeError, ValueError: See :meth:`predict_each`.
        """
        source = self._source(images)
        results = self._pipeline(detect, batch_size).results(source)
        followed = follow(results, unit="images", total=source.count() if in_notebook() else None)
        return Answers(result.to_dict() for result in followed)

    def predict_each(
        self,
        images: Images,
        detect: bool = True,
        batch_size: int = PipelineSpec.batch_size,
    ) -> Iterator[Result]:
        """One :class:`~cmaen.results.Result` for each image, in order; ``batch_size`` images are classified together.

        Args:
            images: Several, each as :meth:`predict_single` takes one; or the path of a folder, for all images in it and
                in the folders below, by name.
            detect: See :meth:`predict_single`.
            batch_size: Images whose faces go through the network together.

        Raises:
            CmaenError: The folder holds no image.
            TypeError: ``images`` is a single image.
            ValueError: ``batch_size`` is below 1.
        """
        return self._pipeline(detect, batch_size).results(self._source(images))

    def embed(
        self,
        images: Images,
        detect: bool = True,
        batch_size: int = PipelineSpec.batch_size,
    ) -> NDArray[np.float32]:
        """What the network makes of the largest face of each image before it answers, for classifiers of your own.

        Args:
            images: See :meth:`predict_each`.
            detect: Likewise.
            batch_size: Images whose faces go through the network together.

        Returns:
            The penultimate features, float32 [N, F]. The row of an image without a face, or that cannot be read, is
            NaN: ``numpy.isnan(features[:, 0])``; :meth:`predict_each` says why.

        Raises:
            TypeError, ValueError: See :meth:`predict_each`.
            CheckpointError: The checkpoint's file gives no features; ``cmaen export`` makes it anew.
        """
        pipeline = self._pipeline(detect, batch_size)
        classifier = pipeline.classifier
        none = classifier.features(classifier.inputs([]))  # [0, F]
        return np.concatenate([none, *pipeline.embed_all(self._source(images))])

    def predict_faces(self, image: ImageInput, boxes: Sequence[FaceBox | Sequence[float]] | None = None) -> Answers:
        """The faces of one image, a dict each: those that are found, the largest first, or those of your own boxes.

        Args:
            image: See :meth:`predict_single`.
            boxes: Where the faces are, in pixels: ``(x, y, width, height)``, or
                :class:`~cmaen.types.FaceBox`, which may have landmarks to turn the face by. They are cut out as found
                faces are. ``None`` to find them.

        Raises:
            ImageError: The image cannot be used.
            TypeError: ``boxes`` is a single box.
            ValueError: A box is not one, or lies outside the image; the message says which.
        """
        pixels = self._read(image)
        pipeline = self._pipeline(detect=True)
        if boxes is not None:
            faces = read_boxes(boxes, pixels)
            pipeline = replace(pipeline, detector=lambda _: faces)
        path = name_of(image)
        return Answers(Answer(face.to_dict(), path) for face in self._faces(pixels, pipeline))

    def get_top_k_predictions(self, image: ImageInput, k: int = 3, detect: bool = True) -> list[tuple[str, float]]:
        """The ``k`` most probable emotions of the largest face; an empty list where there is none.

        Raises:
            ImageError: The image cannot be used.
            ValueError: ``k`` is not 1 to 7, or to the number of labels.
        """
        labels = self.labels
        if not 1 <= k <= len(labels):
            raise ValueError(f"k must be 1 to {len(labels)}, not {k}")
        faces = self._faces(self._read(image), self._pipeline(detect))
        if not faces:
            return []
        return sorted(zip(labels, faces[0].probabilities, strict=True), key=lambda pair: -pair[1])[:k]

    def explain(self, image: ImageInput, detect: bool = True, kind: str = OCCLUSION) -> ExplainedPicture:
        """What the answer for each face depends on, as a map of the face; about half a second a face.

        ``predictor.explain("photo.jpg").plot().save("maps.png")``

        Args:
            image: See :meth:`predict_single`.
            detect: Likewise.
            kind: Of the maps. ``occlusion``: where the answer becomes less likely when the face is covered there, see
                :mod:`cmaen.inference.occlusion`; every engine can do it. Those of research need PyTorch, see
                :class:`cmaen.explanation.Explanation`: ``gradient`` (bright places add to the answer or take from it),
                or one of the network's attentions, like ``cross_modal`` or ``emotion_head``.

        Raises:
            CmaenError: There is no such map, or the network has not the part that it is of.
            ImageError: The image cannot be used.
            NoFaceError: There is no face in it.
            MissingExtraError: A map of research needs the extra ``report``, which is not installed.
            CheckpointError: It needs a ``model.safetensors``, and the checkpoint has none.
        """
        pixels, pipeline = self._read(image), self._pipeline(detect)
        faces = self._faces(pixels, pipeline)
        if not faces:
            raise NoFaceError("there is no face to explain in the image; detect=False says that it is a face crop")
        crops = [pipeline.crop(pixels, face.box) for face in faces]
        return explain_crops(crops, faces, pipeline.classifier, kind=kind, explainers=self._explainers)

    def _pipeline(self, detect: bool, batch_size: int = PipelineSpec.batch_size) -> FacePipeline:
        pipeline = self.pipeline.tune(batch_size=batch_size)
        return pipeline if detect else replace(pipeline, detector=None)

    def _read(self, image: ImageInput) -> Image:
        return read_image(image, channels=self._channels, max_pixels=self.spec.max_pixels)

    def _source(self, images: Images) -> ListSource | FolderSource:
        if isinstance(images, str | PathLike) and _is_folder(images):
            return FolderSource(Path(images), max_pixels=self.spec.max_pixels)
        several = cast("Iterable[ImageInput]", images)
        require_several(several, "give a list or the path of a folder; for one image use predict_single")
        return ListSource(several, channels=self._channels, max_pixels=self.spec.max_pixels)

    def _answer(self, image: ImageInput, pipeline: FacePipeline) -> Result:
        """The result of one image."""
        return pipeline.answer(*self._source([image]))

    def _faces(self, pixels: Image, pipeline: FacePipeline) -> tuple[Face, ...]:
        """The faces of an image that was read; what is wrong with it is raised."""
        result = pipeline.answer(lambda: Frame(0, image=pixels))
        if result.error is not None:
            raise CmaenError(result.error)
        return result.faces


def _is_folder(path: str | PathLike[str]) -> bool:
    """Whether a path is that of a folder; text may be anything, like a picture in base64."""
    with suppress(OSError, ValueError):
        return bool(fspath(path)) and Path(path).is_dir()
    return False
