"""What computes the logits: ONNX Runtime for everybody, OpenVINO and PyTorch where they are installed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from cmaen.card import ONNX, SAFETENSORS, folder_of, read_card, verified
from cmaen.errors import CheckpointError, ConfigError, MissingExtraError

log = logging.getLogger(__name__)


class Engine(Protocol):
    """Computes logits."""

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [B, 3, H, W] as the checkpoint's PreprocessSpec makes it -> logits float32 [B, C]."""
        ...


def onnx_session(model: Path | bytes, threads: int | None = None) -> ort.InferenceSession:
    """A session of ONNX Runtime on the CPU, for a file or its content; ``None`` threads for all cores.

    Its threads rest between two calls. By default they spin, and take the cores from whatever comes next: decoding,
    tracking, encoding, another session (``docs/figures.md``).
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.force_spinning_stop", "1")
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


class OnnxEngine:
    """ONNX Runtime on the CPU.

    Args:
        checkpoint: Folder with a ``model.onnx``.
        threads: ``None`` for all cores.

    Raises:
        CheckpointError: The file is missing, corrupt or not a network of this project.
    """

    def __init__(self, checkpoint: Path, *, threads: int | None = None) -> None:
        path = verified(checkpoint, "onnx")
        try:
            self._session = onnx_session(path, threads)
        except Exception as error:  # ONNX Runtime's errors share no public base
            raise CheckpointError(f"{path} cannot be loaded: {error}") from error
        self._input = self._session.get_inputs()[0].name
        _require_classes(self._session.get_outputs()[0].shape[-1], checkpoint, path)

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`Engine`."""
        return np.asarray(self._session.run(["logits"], {self._input: batch})[0], np.float32)


class OpenVinoEngine:
    """OpenVINO on the CPU, in the precision of the export; bfloat16 only where the processor computes in it.

    Args:
        checkpoint: Folder with a ``model.xml`` and its ``model.bin``.
        threads: ``None`` for all cores.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        CheckpointError: A file is missing, corrupt or not a network of this project.
    """

    def __init__(self, checkpoint: Path, *, threads: int | None = None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError("the engine openvino", "fast") from error
        path = verified(checkpoint, "openvino")
        capable = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        bfloat16 = capable and read_card(checkpoint).precision.get("openvino") == "bf16"
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            **({"INFERENCE_NUM_THREADS": threads} if threads else {}),
        }
        try:
            self._network = openvino.compile_model(path, "CPU", options)
        except RuntimeError as error:
            raise CheckpointError(f"{path} cannot be loaded: {error}") from error
        _require_classes(self._network.output(0).partial_shape[1], checkpoint, path)
        self._of_thread = threading.local()

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`Engine`."""
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._network.create_infer_request()  # serves one thread at a time
        return np.array(self._of_thread.request.infer([batch])[0], np.float32)


class TorchEngine:
    """PyTorch on the CPU, in float32.

    Args:
        checkpoint: Folder with a ``model.safetensors``.
        threads: ``None`` for all cores.

    Raises:
        MissingExtraError: PyTorch is not installed.
        CheckpointError: The file is missing, corrupt or of another architecture.
    """

    def __init__(self, checkpoint: Path, *, threads: int | None = None) -> None:
        try:
            import torch

            from cmaen.models.checkpoint import load_checkpoint
        except ImportError as error:
            raise MissingExtraError("the engine torch", "train") from error
        if threads:
            torch.set_num_threads(threads)
        self._torch = torch
        self._model, _ = load_checkpoint(checkpoint)
        self._model = self._model.to(memory_format=torch.channels_last)

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`Engine`."""
        with self._torch.inference_mode():
            images = self._torch.from_numpy(batch).contiguous(memory_format=self._torch.channels_last)
            return np.asarray(self._model(images).logits.numpy(), np.float32)


ENGINES: dict[str, Callable[..., Engine]] = {
    "onnx": OnnxEngine,
    "openvino": OpenVinoEngine,
    "torch": TorchEngine,
}


AUTO = "auto"
"""ONNX Runtime where the checkpoint has its file, else PyTorch."""


def build_engine(name: str, checkpoint: Path, *, threads: int | None = None) -> Engine:
    """An engine by name, or :data:`AUTO`.

    Raises:
        ConfigError: There is no such engine.
        CheckpointError: The checkpoint has no weights for it, or they cannot be used.
    """
    name = resolved(name, checkpoint)
    if name not in ENGINES:
        raise ConfigError(f"{name!r} is not an engine; choose from {[AUTO, *sorted(ENGINES)]}")
    return ENGINES[name](checkpoint, threads=threads)


def resolved(name: str, checkpoint: Path) -> str:
    """The engine that a name stands for; PyTorch alone reads what was just trained, and being slower it is said."""
    folder = folder_of(checkpoint)
    if name != AUTO:
        return name
    if (folder / ONNX).is_file() or not (folder / SAFETENSORS).is_file():
        return "onnx"
    log.warning("%s has no %s, so PyTorch computes; faster: cmaen export --checkpoint %s", folder, ONNX, folder)
    return "torch"


def _require_classes(logits: Any, checkpoint: Path, path: Path) -> None:
    """Refuse a file that gives another number of logits than its card has labels."""
    labels = len(read_card(checkpoint).labels)
    if logits != labels:
        raise CheckpointError(f"{path} does not give {labels} logits; it is another kind of network")


def probabilities(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """softmax(logits / temperature) over the last axis, float64, rows summing to 1."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    exponentials = np.exp(scaled)
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))
