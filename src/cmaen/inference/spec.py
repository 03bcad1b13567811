"""The specification of a pipeline: all its settings in one place, and the only way to build it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, NamedTuple

from cmaen.checkpoints import Checkpoint, Where
from cmaen.inference.detectors.base import DEFAULT, OWN, Detector, DetectorOptions
from cmaen.inference.tuning import Tuning, choice, number
from cmaen.resources import usable_cores

if TYPE_CHECKING:
    from cmaen.inference.pipeline import FacePipeline


class Threads(NamedTuple):
    """Number of threads for each part of a pipeline; ``None`` for all usable cores.

    Attributes:
        engine: Threads of the network.
        detector: Threads of the detector for one image.
        process: Threads of OpenCV, which belong to the whole process; ``None`` leaves them unchanged.
    """

    engine: int | None
    detector: int | None
    process: int | None


@dataclass(frozen=True, kw_only=True)
class PipelineSpec(Tuning):
    """Specification of a pipeline. It can be pickled for other processes and machines.

    ``PipelineSpec(detector="yunet", threshold=0.5).build()``

    The settings, their defaults, ranges and meanings are written only here and in
    :class:`~cmaen.inference.tuning.Tuning`; the predictor, the commands, the service and the workers of a cluster all
    pass a spec.

    Attributes:
        checkpoint: A name, a folder, an address or a repository, see :meth:`cmaen.checkpoints.Checkpoint.open`;
            ``None`` for the weights that come with the package.
        detector: Name for :func:`cmaen.inference.detectors.build_detector`; ``None`` if every image is a face crop.
        options: Options of the detector.
        engine: ``onnx``, ``openvino`` or ``torch``; ``auto`` is ONNX Runtime if the checkpoint has a file for it,
            otherwise PyTorch.
        device: Device that the engine runs on: ``cpu``; ``cuda`` or ``cuda:1`` with ONNX Runtime and PyTorch; ``mps``;
            OpenVINO's own names, such as ``gpu``; ``auto``. The detector always runs on the CPU.
        scheme: Label scheme of the answers: ``perceived``, the emotion that people would see in the face, or
            ``fer2013``, the label that it would have in FER2013. ``None`` for ``perceived`` if the checkpoint has it,
            otherwise its only scheme.
        contempt: Whether to answer contempt as an eighth emotion, under ``perceived``.
        threads: Threads of the engine and of the detector, at least 1; ``None`` for all usable cores.
        throughput: Whether to process many images at a time, each on one thread, for the most images per second.
            Otherwise one image at a time has all the threads, for the lowest latency. It sets OpenCV's threads for the
            whole process, so use it only in a process that does nothing else.

    Raises:
        SettingError: A value is out of its range; the message lists all such values. Also a :class:`ValueError`.
    """

    checkpoint: str | Path | None = field(
        default=None, metadata=choice("a name, the path of a folder or None", str, PathLike, NoneType)
    )
    detector: str | None = field(default=DEFAULT, metadata=choice("the name of a detector or None", str, NoneType))
    options: DetectorOptions = field(default=OWN, metadata=choice("DetectorOptions", DetectorOptions))
    engine: str = field(default="auto", metadata=choice("the name of an engine", str))
    device: str = field(default="cpu", metadata=choice("the name of a device", str))
    scheme: str | None = field(default=None, metadata=choice("the name of a label scheme or None", str, NoneType))
    contempt: bool = field(default=False, metadata=choice("True or False", bool))
    threads: int | None = field(default=None, metadata=number("at least 1", 1, whole=True, optional=True))
    throughput: bool = field(default=False, metadata=choice("True or False", bool))

    def open_checkpoint(self) -> Checkpoint:
        """Open the checkpoint; one that is not here is fetched once.

        Raises:
            CheckpointError: The checkpoint does not exist, or cannot be fetched.
            MissingExtraError: A repository needs the extra ``hub``.
        """
        return Checkpoint.open(self.checkpoint)

    def fetch(self) -> PipelineSpec:
        """Return the same spec with a local checkpoint, so that several processes fetch it only once.

        Raises:
            CmaenError: See :meth:`open_checkpoint`.
        """
        return replace(self, checkpoint=name_checkpoint(self.open_checkpoint()))

    def share_threads(self) -> Threads:
        """Decide how many threads each part gets.

        With ``throughput``, each image that is searched takes one core, which is most of the work; the network, which
        all of them share, gets a quarter of the cores.
        """
        if not self.throughput:
            return Threads(self.threads, self.threads, None)
        cores = self.workers or usable_cores()
        return Threads(self.threads or max(1, cores // 4), 1, 1)

    def build(self, *, detector: Detector | None = None) -> FacePipeline:
        """Load the networks and put the pipeline together.

        Args:
            detector: Detector of your own, in place of the spec's; several threads call it at the same time.

        Raises:
            CheckpointError: The checkpoint is missing or cannot be used.
            ConfigError: The engine or label scheme does not exist, or the engine does not support the device here.
            DetectorError: The detector is unknown or cannot be loaded.
            MissingExtraError: The extra that the engine or the detector needs is not installed.
        """
        import cv2

        from cmaen.inference.classifier import FaceClassifier
        from cmaen.inference.detectors import build_detector
        from cmaen.inference.pipeline import FacePipeline

        threads = self.share_threads()
        if threads.process is not None:
            cv2.setNumThreads(threads.process)
        if detector is None and self.detector is not None:
            detector = build_detector(self.detector, options=self.options, threads=threads.detector)
        classifier = FaceClassifier(
            self.open_checkpoint(),
            engine=self.engine,
            threads=threads.engine,
            device=self.device,
            scheme=self.scheme,
            contempt=self.contempt,
        )
        return FacePipeline(classifier, detector, self)


def name_checkpoint(where: Where) -> str | Path | None:
    """Name a checkpoint for a spec: one of the package by its name, another open one by its folder."""
    if isinstance(where, Checkpoint):
        return where.shipped_name or where.folder
    return where if where is None or isinstance(where, str) else Path(fspath(where))
