"""The predictor: images in, results or plain dicts out. A thin facade over sources, a pipeline and sinks."""

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

from cmaen.checkpoints import SHIPPED, Card, Checkpoint, Where
from cmaen.errors import CmaenError, NoFaceError
from cmaen.images.reader import Channels, ImageInput, name_of, read_image
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
"""Several images, or the path of a folder for all images in it and its subfolders, sorted by name."""


class EmotionPredictor(Watcher):
    """Recognises the emotions of the faces in images. It is thread-safe, and a copy shares its networks.

    It can be pickled for other processes, where it is rebuilt from its spec.

    Args:
        checkpoint: ``None`` or ``cmaen-m`` for the default weights of this package, ``cmaen-s`` for its small ones; a
            folder; an address or a repository, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        detector: Name for :func:`cmaen.inference.detectors.build_detector`, or an object of your own: called with RGB
            uint8 [H, W, 3], by several threads at once, it returns face boxes, the largest first.
        options, engine, threads, device, workers, threshold, scheme, contempt, max_pixels: See
            :class:`~cmaen.inference.spec.PipelineSpec` for meanings and ranges.
        channels: Channel order of arrays passed to the methods: ``rgb``, or ``bgr`` for arrays that OpenCV reads. Files
            and PIL images have an order of their own, and a detector always receives RGB.

    Raises:
        CheckpointError: The checkpoint is missing or cannot be used.
        ConfigError: The engine or label scheme does not exist, or the engine does not support the device here.
        DetectorError: The detector is unknown or cannot be loaded.
        SettingError: A value is out of its range; the message lists all such values. Also a :class:`ValueError`.
        ValueError: The channel order does not exist.

    Attributes:
        spec: Spec that the predictor was built from.
        card: Card of the checkpoint.
        scheme: Name of the label scheme.
        labels: Labels of the answers, in the order of their probabilities.
    """

    spec: PipelineSpec
    card: Card
    scheme: str
    labels: tuple[str, ...]
    pipeline: FacePipeline

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
        """Build the predictor of a spec, with its detector or one of your own; see the class for the arguments."""
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
        return f"EmotionPredictor({', '.join(f'{name} {value}' for name, value in self._describe().items())})"

    def _repr_html_(self) -> str:
        """Display the predictor in a notebook."""
        from cmaen.drawing.markup import write_facts

        return write_facts("EmotionPredictor", {**self._describe(), "labels": ", ".join(self.labels)})

    def _describe(self) -> dict[str, str]:
        own = self._detector
        finder = self.spec.detector if own is None else getattr(own, "__name__", type(own).__name__)
        return {
            "checkpoint": self.card.name,
            "engine": self.pipeline.classifier.engine,
            "scheme": f"{self.scheme}{' with contempt' if self.spec.contempt else ''}",
            "detector": str(finder),
        }

    @classmethod
    def from_pretrained(
        cls,
        name: str | PathLike[str] = SHIPPED,
        *,
        sha256: str | None = None,
        revision: str | None = None,
        **options: Any,
    ) -> EmotionPredictor:
        """Build the predictor of a checkpoint by its name; one that is not here is fetched once.

        ``EmotionPredictor.from_pretrained("owner/name", revision="v1")``

        Args:
            name: ``cmaen-m``, ``cmaen-s``, a folder, an address or a repository, see
                :meth:`cmaen.checkpoints.Checkpoint.open`.
            sha256: SHA-256 of the zip file, in hex; required for an address.
            revision: Revision of the repository.
            **options: Further arguments of the predictor, such as ``engine`` and ``detector``.

        Raises:
            CheckpointError: The checkpoint does not exist, or cannot be fetched or used.
            MissingExtraError: A repository needs the extra ``hub``.
            OutputError: The cache cannot be written.
            DetectorError: The detector is unknown or cannot be loaded.
        """
        return cls(Checkpoint.open(name, sha256=sha256, revision=revision), **options)

    def under(self, scheme: str | None, *, contempt: bool = False) -> EmotionPredictor:
        """Return the same predictor and networks under another ``scheme``; see the class for the arguments.

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
        """Recognise the emotions of one image, and return a :class:`~cmaen.results.Result` that can draw itself.

        ``predictor.predict("photo.jpg").plot().save("faces.png")``

        The result keeps the pixels and the crop of each face, the largest face first. An unusable image is reported in
        the status, not by an exception.

        Args:
            image: See :meth:`predict_single`.
            detect: See :meth:`predict_single`.
        """
        pipeline = self._pipeline(detect)
        result = self._answer(image, pipeline)
        pixels = result.image
        if pixels is None:
            return result
        if isinstance(image, np.ndarray) and np.may_share_memory(image, pixels):
            pixels = pixels.copy()  # the caller may change the array later
        faces = tuple(replace(face, crop=pipeline.crop(pixels, face.box)) for face in result.faces)
        return replace(result, frame=replace(result.frame, image=pixels), faces=faces)

    def predict_single(self, image: ImageInput, detect: bool = True) -> dict[str, Any]:
        """Recognise the emotions of one image.

        Args:
            image: A path, the content of a file (``bytes``, ``bytearray``, ``memoryview``, base64 text, a data URL), an
                open file, a PIL image, or an array of uint8: RGB [H, W, 3], RGBA [H, W, 4] (see the predictor's
                ``channels``) or grey [H, W].
            detect: Whether to find, align and crop the faces first; ``False`` if the image already is a face crop.

        Returns:
            ``status`` ("ok", "no_face" or "error") and ``error``; ``scheme``; ``predicted_emotion``, ``confidence`` and
            ``probabilities`` of the largest face; and all ``faces``, the largest first. An unusable image is reported
            in the
            status, not by an exception.
        """
        return self._answer(image, self._pipeline(detect)).to_dict()

    def predict_batch(
        self,
        images: Images,
        detect: bool = True,
        batch_size: int = PipelineSpec.batch_size,
    ) -> Answers:
        """Recognise the emotions of several images; return one dict each, in order, as :meth:`predict_single` does.

        In a notebook, a progress bar is shown and the list displays as a table; ``.to_pandas()`` makes a data frame.

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
        """Yield one :class:`~cmaen.results.Result` for each image, in order; images are classified in batches.

        Args:
            images: Several images, each as for :meth:`predict_single`, or the path of a folder for all images in it and
                its subfolders, sorted by name.
            detect: See :meth:`predict_single`.
            batch_size: Number of images whose faces are classified together.

        Raises:
            CmaenError: The folder contains no images.
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
        """Compute the network's features of the largest face of each image, for classifiers of your own.

        Args:
            images: See :meth:`predict_each`.
            detect: See :meth:`predict_single`.
            batch_size: Number of images whose faces are classified together.

        Returns:
            Penultimate features, float32 [N, F]. The row of an image without a face, or of an unreadable image, is NaN:
            ``numpy.isnan(features[:, 0])``; :meth:`predict_each` says why.

        Raises:
            TypeError, ValueError: See :meth:`predict_each`.
            CheckpointError: The checkpoint's file provides no features; create it again with ``cmaen export``.
        """
        pipeline = self._pipeline(detect, batch_size)
        classifier = pipeline.classifier
        none = classifier.features(classifier.inputs([]))  # [0, F]
        return np.concatenate([none, *pipeline.embed_all(self._source(images))])

    def predict_faces(self, image: ImageInput, boxes: Sequence[FaceBox | Sequence[float]] | None = None) -> Answers:
        """Recognise the faces of one image, and return a dict for each: detected faces, or those in your own boxes.

        Args:
            image: See :meth:`predict_single`.
            boxes: Boxes of the faces in pixels: ``(x, y, width, height)``, or :class:`~cmaen.types.FaceBox`, whose
                landmarks serve to align the face. They are cut out like detected faces. ``None`` to detect faces, the
                largest first.

        Raises:
            ImageError: The image cannot be used.
            TypeError: ``boxes`` is a single box.
            ValueError: A box is malformed or lies outside the image; the message says which.
        """
        pixels = self._read(image)
        pipeline = self._pipeline(detect=True)
        if boxes is not None:
            faces = read_boxes(boxes, pixels)
            pipeline = replace(pipeline, detector=lambda _: faces)
        path = name_of(image)
        return Answers(Answer(face.to_dict(), path) for face in self._faces(pixels, pipeline))

    def get_top_k_predictions(self, image: ImageInput, k: int = 3, detect: bool = True) -> list[tuple[str, float]]:
        """Return the ``k`` most probable emotions of the largest face; an empty list if there is no face.

        Raises:
            ImageError: The image cannot be used.
            ValueError: ``k`` is not between 1 and the number of labels, usually 7.
        """
        labels = self.labels
        if not 1 <= k <= len(labels):
            raise ValueError(f"k must be 1 to {len(labels)}, not {k}")
        faces = self._faces(self._read(image), self._pipeline(detect))
        if not faces:
            return []
        return sorted(zip(labels, faces[0].probabilities, strict=True), key=lambda pair: -pair[1])[:k]

    def explain(self, image: ImageInput, detect: bool = True, kind: str = OCCLUSION) -> ExplainedPicture:
        """Map what the answer for each face depends on; this takes about half a second per face.

        ``predictor.explain("photo.jpg").plot().save("maps.png")``

        Args:
            image: See :meth:`predict_single`.
            detect: See :meth:`predict_single`.
            kind: Kind of the maps. ``occlusion`` shows where covering the face makes the answer less likely, see
                :mod:`cmaen.inference.occlusion`; it works with every engine. The others need PyTorch, see
                :class:`cmaen.explanation.Explanation`: ``gradient`` (bright places add to the answer or take from it),
                or one of the network's attentions, such as ``cross_modal`` or ``emotion_head``.

        Raises:
            CmaenError: The map does not exist, or the network does not have the part that it shows.
            ImageError: The image cannot be used.
            NoFaceError: The image contains no face.
            MissingExtraError: A map other than ``occlusion`` needs the extra ``report``, which is not installed.
            CheckpointError: Such a map needs a ``model.safetensors``, which the checkpoint does not have.
        """
        pixels, pipeline = self._read(image), self._pipeline(detect)
        faces = self._faces(pixels, pipeline)
        if not faces:
            raise NoFaceError("there is no face to explain in the image; pass detect=False if the image is a face crop")
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
        require_several(several, "pass a list or the path of a folder; for one image use predict_single")
        return ListSource(several, channels=self._channels, max_pixels=self.spec.max_pixels)

    def _answer(self, image: ImageInput, pipeline: FacePipeline) -> Result:
        """Process one image."""
        return pipeline.answer(*self._source([image]))

    def _faces(self, pixels: Image, pipeline: FacePipeline) -> tuple[Face, ...]:
        """Find and classify the faces of an image that has been read; an error in its result is raised."""
        result = pipeline.answer(lambda: Frame(0, image=pixels))
        if result.error is not None:
            raise CmaenError(result.error)
        return result.faces


def _is_folder(path: str | PathLike[str]) -> bool:
    """Whether a path is that of a folder; the text may be anything, such as an image in base64."""
    with suppress(OSError, ValueError):
        return bool(fspath(path)) and Path(path).is_dir()
    return False
