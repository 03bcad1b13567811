"""A pipeline as a value: everything that it is built from, in one place, and the one way of building it."""

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
    """How many threads each part of a pipeline takes; ``None`` for all cores that may be used.

    Attributes:
        engine: Of the network.
        detector: For one picture.
        process: Of OpenCV, which belong to the whole process; ``None`` leaves them as they are.
    """

    engine: int | None
    detector: int | None
    process: int | None


@dataclass(frozen=True, kw_only=True)
class PipelineSpec(Tuning):
    """What a pipeline is built from. It can be pickled, for other processes and machines.

    ``PipelineSpec(detector="yunet", threshold=0.5).build()``

    These settings, their defaults, ranges and meanings are written here and in :class:`~cmaen.inference.tuning.Tuning`,
    and nowhere else: the predictor, the commands, the service and the workers of a cluster all pass a spec.

    Attributes:
        checkpoint: A name, a folder, an address or a repository, see :meth:`cmaen.checkpoints.Checkpoint.open`;
            ``None`` for the weights that come with the package.
        detector: A name as :func:`cmaen.inference.detectors.build_detector` takes it; ``None``: every picture is a face
            crop.
        options: Of the detector.
        engine: ``onnx``, ``openvino`` or ``torch``; ``auto`` is ONNX Runtime where the checkpoint has its file, else
            PyTorch.
        device: That the engine computes on: ``cpu``; ``cuda`` or ``cuda:1`` with ONNX Runtime and PyTorch; ``mps``;
            OpenVINO's own names, like ``gpu``; ``auto``. Faces are found on the CPU.
        scheme: Label scheme to answer with: ``perceived``, what people would see in the face, or ``fer2013``, what its
            label in FER2013 would be. ``None``: ``perceived`` where the checkpoint has it, else its only scheme.
        contempt: Under ``perceived``, answer contempt as an eighth emotion.
        threads: Of the engine and of the detector, at least 1; ``None`` for all cores that may be used.
        throughput: Many pictures at a time, each on one thread, so that most are done in a second. Otherwise one
            picture at a time has all the threads, and its answer comes soonest. The threads of OpenCV are then those of
            the whole process: use it where the process does nothing else.

    Raises:
        SettingError: A value is out of its range; the message lists every one. A :class:`ValueError`, too.
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
        """The checkpoint, which is fetched once where it is not here.

        Raises:
            CheckpointError: There is no such checkpoint, or it cannot be fetched.
            MissingExtraError: A repository needs the extra ``hub``.
        """
        return Checkpoint.open(self.checkpoint)

    def fetch(self) -> PipelineSpec:
        """The same spec, with a checkpoint that is here: what several processes fetch once.

        Raises:
            CmaenError: See :meth:`open_checkpoint`.
        """
        return replace(self, checkpoint=name_checkpoint(self.open_checkpoint()))

    def share_threads(self) -> Threads:
        """The one decision about threads.

        With ``throughput`` the pictures that are searched at the same time take a core each, which is most of the work;
        the network, which is fed by them all, has a quarter of the cores.
        """
        if not self.throughput:
            return Threads(self.threads, self.threads, None)
        cores = self.workers or usable_cores()
        return Threads(self.threads or max(1, cores // 4), 1, 1)

    def build(self, *, detector: Detector | None = None) -> FacePipeline:
        """Load the networks and put the pipeline together.

        Args:
            detector: One of your own in place of the one that the spec names; several threads call it at the same time.

        Raises:
            CheckpointError: The checkpoint is missing or cannot be used.
            ConfigError: There is no such engine or label scheme, or the engine cannot compute on the device here.
            DetectorError: The detector is unknown or cannot be loaded.
            MissingExtraError: What the engine or the detector needs is not installed.
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
    """What a spec calls a checkpoint; one that is open by its folder, the shipped one by nothing."""
    if isinstance(where, Checkpoint):
        return None if where.is_shipped else where.folder
    return where if where is None or isinstance(where, str) else Path(fspath(where))
