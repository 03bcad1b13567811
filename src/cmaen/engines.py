"""The engines that compute logits: ONNX Runtime by default, OpenVINO and PyTorch where they are installed."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from cmaen.checkpoints import ONNX, OPENVINO, Checkpoint, Where
from cmaen.devices import torch_device, torch_threads
from cmaen.errors import CheckpointError, ConfigError, MissingExtraError
from cmaen.resources import restricted_cores
from cmaen.types import PERCEIVED

AUTO = "auto"
"""The default engine (ONNX Runtime if the checkpoint has its file, else PyTorch) or device (a GPU if one works)."""

LOGITS, FEATURES = "logits", "features"
OUTPUTS = (LOGITS, FEATURES, PERCEIVED)
"""The outputs of a network, in the order of an exported file's results: the logits of the first label scheme, the
penultimate features, and the logits of ``perceived`` if the network has that scheme.
"""

_LOCATION = b"location"
_EXTERNAL = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)" + _LOCATION)

_opened: MutableMapping[tuple[object, ...], ort.InferenceSession] = WeakValueDictionary()
"""The sessions that are in use, by content and settings: they serve any number of threads."""

log = logging.getLogger(__name__)


class Engine(ABC):
    """A callable that computes the outputs of a network."""

    def __call__(self, batch: NDArray[np.float32], output: str = LOGITS) -> NDArray[np.float32]:
        """Compute one output, by default the logits of the first label scheme; see :meth:`run`."""
        (found,) = self.run(batch, [output])
        return found

    @abstractmethod
    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """Run the network once, and return some of :data:`OUTPUTS`.

        Args:
            batch: float32 [B, 3, H, W] as made by the checkpoint's PreprocessSpec.
            outputs: The outputs to return.

        Returns:
            For each output, logits float32 [B, C] or features float32 [B, F].

        Raises:
            CheckpointError: The network, or the file of the engine, does not have one of the outputs.
        """


Logits = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A function from a batch float32 [B, 3, H, W] to the logits float32 [B, C] of one label scheme."""


def output_of(scheme: str) -> str:
    """Return which of :data:`OUTPUTS` holds the logits of a label scheme."""
    return PERCEIVED if scheme == PERCEIVED else LOGITS


def select_output(engine: Engine, scheme: str) -> Logits:
    """Return a function that computes the logits of a label scheme with an engine."""
    return partial(engine, output=output_of(scheme))


PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider"}
"""ONNX Runtime's execution provider for each kind of device."""


def onnx_session(
    model: Path | bytes, threads: int | None = None, device: str = "cpu", *, multiplied_out: bool = False
) -> ort.InferenceSession:
    """Open a session of ONNX Runtime for a file or its content; ``None`` threads for all usable cores.

    As long as a session is in use, whoever opens the same network with the same settings gets the same session: two
    predictors of one process need one network in memory, and the second is there at once.

    Its threads sleep between two calls. By default they would spin and take cores from whatever runs next: decoding,
    tracking, encoding or another session (``docs/figures/speed.md``).

    Args:
        model: The file or its content.
        threads: See above.
        device: One of :data:`PROVIDERS`, with a number (``cuda:1``), or :data:`AUTO`.
        multiplied_out: Whether to dequantise 8-bit weights once, while loading, where the network computes in float32;
            otherwise ONNX Runtime does so in every call.

    Raises:
        ConfigError: ONNX Runtime cannot run on the device here.
        CheckpointError: The network stores weights in other files, which is not supported.
        OSError: The file cannot be read.
    """
    content = model if isinstance(model, bytes) else model.read_bytes()
    _require_one_file(model, content)
    count = threads or restricted_cores() or 0  # 0: one per physical core
    key = (hashlib.sha256(content).digest(), count, device, multiplied_out)
    if (session := _opened.get(key)) is None:
        source = model if isinstance(model, bytes) else str(model)
        session = _opened[key] = _open_session(source, count, device, multiplied_out=multiplied_out)
    return session


def _open_session(source: str | bytes, threads: int, device: str, *, multiplied_out: bool) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # its other format has not been reviewed
    if multiplied_out:
        options.add_session_config_entry("session.disable_quant_qdq", "1")  # constants are then folded through them
    if device == AUTO:
        return _automatic_session(source, options)
    provider = _provider(device)
    session = ort.InferenceSession(source, options, providers=[provider])
    if session.get_providers()[0] != provider[0]:  # it has silently fallen back to the CPU
        raise ConfigError(f"ONNX Runtime cannot load {provider[0]}: are the libraries of {device} installed?")
    return session


def _require_one_file(model: Path | bytes, content: bytes) -> None:
    """Refuse a network that refers to other files: ONNX Runtime would read them, wherever on the machine they are.

    Such a reference is a message whose first field is the text ``location``, however its length is encoded.

    Raises:
        CheckpointError: The network refers to other files.
    """
    if _LOCATION in content and _EXTERNAL.search(content):  # the word alone is found ten times as fast
        name = "the network" if isinstance(model, bytes) else model
        raise CheckpointError(
            f"{name} stores weights in other files (ONNX external data), which is not supported: save it as one file"
        )


def _automatic_session(source: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    """Open a session on CUDA if it works, else on the CPU: a listed provider may have no GPU."""
    if PROVIDERS["cuda"] in ort.get_available_providers():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # ONNX Runtime warns of what is logged below
                session = ort.InferenceSession(source, options, providers=[_provider("cuda")])
            if session.get_providers()[0] == PROVIDERS["cuda"]:
                return session
            log.info("CUDA is listed but does not work here; using the CPU")
        except Exception as error:  # ONNX Runtime's errors have no public base class
            log.info("CUDA is listed but does not work here (%s); using the CPU", error)
    return ort.InferenceSession(source, options, providers=[_provider("cpu")])


def _provider(device: str) -> tuple[str, dict[str, str]]:
    kind, _, index = device.partition(":")
    there = ort.get_available_providers()
    if kind not in PROVIDERS:
        raise ConfigError(f"{device!r} is not a device of ONNX Runtime; choose auto, cpu, cuda, cuda:1 or mps")
    if PROVIDERS[kind] not in there:
        raise ConfigError(
            f"this ONNX Runtime has no {PROVIDERS[kind]} for {device}, only {', '.join(there)}; use cpu, or for cuda "
            "install the package onnxruntime-gpu instead of onnxruntime"
        )
    return PROVIDERS[kind], {"device_id": index} if index else {}


class OnnxEngine(Engine):
    """The engine of ONNX Runtime.

    Args:
        checkpoint: Checkpoint with a ``model.onnx``, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        threads: Number of threads; ``None`` for all cores.
        device: ``cpu``, ``cuda``, ``cuda:1`` (the second GPU), ``mps`` (by CoreML) or ``auto``.

    Raises:
        ConfigError: ONNX Runtime cannot run on the device here.
        CheckpointError: The file is missing, damaged or not a network of this project.
    """

    def __init__(self, checkpoint: Where = None, *, threads: int | None = None, device: str = "cpu") -> None:
        opened = Checkpoint.open(checkpoint)
        self._path = path = opened.weights("onnx")
        try:
            self._session = onnx_session(path, threads, device)
        except (ConfigError, CheckpointError):
            raise
        except Exception as error:  # ONNX Runtime's errors have no public base class
            raise CheckpointError(f"{path} cannot be loaded: {error}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if not (len(inputs) == 1 and outputs and outputs[0].shape):
            raise CheckpointError(f"{path} has {len(inputs)} inputs; it is another kind of network")
        self._input = inputs[0].name
        _require_classes(outputs[0].shape[-1], opened, path)
        self._outputs = [output.name for output in outputs]

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """See :meth:`Engine.run`."""
        for output in outputs:
            if output not in self._outputs:
                raise _without(output, self._path)
        try:
            return [np.asarray(found, np.float32) for found in self._session.run(outputs, {self._input: batch})]
        except Exception as error:  # ONNX Runtime's errors have no public base class
            raise CheckpointError(
                f"{self._path} cannot process a batch of shape {list(batch.shape)}: {error}"
            ) from error


class OpenVinoEngine(Engine):
    """The engine of OpenVINO; on the CPU in the precision of the export, and bfloat16 only if the processor has it.

    Args:
        checkpoint: Checkpoint with a ``model.xml`` and its ``model.bin``.
        threads: Number of CPU threads; ``None`` for all cores.
        device: ``cpu``, ``auto``, or OpenVINO's name of another device, such as ``gpu``, ``gpu.1`` or ``npu``.

    Raises:
        ConfigError: The device does not exist here.
        MissingExtraError: OpenVINO is not installed.
        CheckpointError: A file is missing, damaged or not a network of this project.
    """

    def __init__(self, checkpoint: Where = None, *, threads: int | None = None, device: str = "cpu") -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError("the engine openvino", "fast") from error
        opened = Checkpoint.open(checkpoint)
        card, folder = opened.card, opened.folder
        if not (folder / OPENVINO).is_file():
            raise CheckpointError(
                f"{folder} has no readable {OPENVINO}; create it: cmaen export --checkpoint {folder} --format openvino"
            )
        self._path = path = opened.weights("openvino")
        core, name = openvino.Core(), device.upper()
        if name not in ("AUTO", *core.available_devices):
            there = ", ".join(found.lower() for found in core.available_devices)
            raise ConfigError(f"OpenVINO finds no device {device!r} here; choose from auto, {there}")
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if name == "CPU":
            capable = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            bfloat16 = capable and card.precision.get("openvino") == "bf16"
            options["INFERENCE_PRECISION_HINT"] = "bf16" if bfloat16 else "f32"
            if cores := threads or restricted_cores():
                options["INFERENCE_NUM_THREADS"] = cores
        try:
            self._network = core.compile_model(path, name, options)
        except RuntimeError as error:
            raise CheckpointError(f"{path} cannot be loaded: {error}") from error
        _require_classes(self._network.output(0).partial_shape[1], opened, path)
        self._of_thread = threading.local()

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """See :meth:`Engine.run`."""
        numbers = [OUTPUTS.index(output) for output in outputs]
        for number in numbers:
            if number >= len(self._network.outputs):
                raise _without(OUTPUTS[number], self._path)
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._network.create_infer_request()  # a request serves one thread at a time
        found = self._of_thread.request.infer([batch])
        return [np.array(found[number], np.float32) for number in numbers]


class TorchEngine(Engine):
    """The engine of PyTorch, in float32.

    Args:
        checkpoint: Checkpoint with a ``model.safetensors``.
        threads: Number of CPU threads; ``None`` for all cores.
        device: See :func:`cmaen.devices.torch_device`.

    Raises:
        ConfigError: The device does not exist here.
        MissingExtraError: PyTorch is not installed.
        CheckpointError: The file is missing, damaged or belongs to another architecture.
    """

    def __init__(self, checkpoint: Where = None, *, threads: int | None = None, device: str = "cpu") -> None:
        try:
            import torch

            from cmaen.models.checkpoint import load_checkpoint
        except ImportError as error:
            raise MissingExtraError("the engine torch", "train") from error
        self._torch, self._threads = torch, threads
        opened = Checkpoint.open(checkpoint)
        self._path = opened.folder
        self._model, _ = load_checkpoint(opened)
        self._device = torch_device(device)
        self._model = self._model.to(self._device).to(memory_format=torch.channels_last)

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """See :meth:`Engine.run`."""
        with torch_threads(self._threads), self._torch.inference_mode():
            images = self._torch.from_numpy(batch).to(self._device, memory_format=self._torch.channels_last)
            found = self._model(images)
        tensors = [getattr(found, "perceived_logits" if output == PERCEIVED else output) for output in outputs]
        for output, tensor in zip(outputs, tensors, strict=True):
            if tensor is None:
                raise _without(output, self._path)
        return [np.asarray(tensor.cpu().numpy(), np.float32) for tensor in tensors]


ENGINES: dict[str, Callable[..., Engine]] = {
    "onnx": OnnxEngine,
    "openvino": OpenVinoEngine,
    "torch": TorchEngine,
}


def build_engine(name: str, checkpoint: Where = None, *, threads: int | None = None, device: str = "cpu") -> Engine:
    """Build an engine by name, or :data:`AUTO`.

    Raises:
        ConfigError: The engine does not exist, or cannot run on the device here.
        CheckpointError: The checkpoint has no weights for the engine, or they cannot be used.
    """
    checkpoint = Checkpoint.open(checkpoint)
    name = resolve_engine(name, checkpoint)
    if name not in ENGINES:
        raise ConfigError(f"{name!r} is not an engine; choose from {[AUTO, *sorted(ENGINES)]}")
    return ENGINES[name](checkpoint, threads=threads, device=device)


def resolve_engine(name: str, checkpoint: Where = None) -> str:
    """Resolve :data:`AUTO` to an engine: PyTorch if there is no ONNX file, with a warning that it is slower."""
    if name != AUTO:
        return name
    opened = Checkpoint.open(checkpoint)
    if opened.has("onnx") or not opened.has("torch"):
        return "onnx"
    folder = opened.folder
    log.warning(
        "%s has no %s, so PyTorch is used, which is slower; create it: cmaen export --checkpoint %s",
        folder,
        ONNX,
        folder,
    )
    return "torch"


def _require_classes(logits: Any, checkpoint: Checkpoint, path: Path) -> None:
    """Refuse a file with another number of logits than its card has labels."""
    labels = len(checkpoint.card.labels)
    if logits != labels:
        raise CheckpointError(f"{path} does not give {labels} logits; it is another kind of network")


def _without(output: str, path: Path) -> CheckpointError:
    return CheckpointError(f"{path} has no output {output}; if its weights have it, run cmaen export again")


def probabilities(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Compute softmax(logits / temperature) over the last axis, float64, rows summing to 1."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    exponentials = np.exp(scaled)
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))
