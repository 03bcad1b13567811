"""Exporting a trained network to the file of an engine, which is kept only if its outputs match PyTorch's."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cmaen.checkpoints import CARD, FILES, ONNX, OPENVINO, Checkpoint, Documents, Metrics, Where
from cmaen.checkpoints.checkpoint import write_documents
from cmaen.data.splits import FaceSet, Split
from cmaen.engines import OUTPUTS, build_engine, output_of, probabilities
from cmaen.errors import ConfigError, ExportError, MissingExtraError
from cmaen.evaluation.metrics import measure
from cmaen.evaluation.run import logits_by_scheme, score
from cmaen.graphs import with_half_weights, without_traces
from cmaen.models.base import EmotionNetwork
from cmaen.models.checkpoint import load_checkpoint
from cmaen.preprocessing import PreprocessSpec
from cmaen.quantisation import quantise

PRECISIONS: dict[str, tuple[str, ...]] = {
    "onnx": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "fp16", "bf16", "int8"),
}
OPSET = 20
_PARITY_FACES = 500
_CALIBRATION_FACES = 512
_NOISE = 64
_PLAIN = "plain.onnx"


class Parity(NamedTuple):
    """The agreement of an exported network with the PyTorch one.

    Attributes:
        faces: Number of faces compared.
        difference: Largest difference of a probability.
        agreement: Share of equal answers.
        accuracy_loss: Loss of accuracy, as a fraction; 0 if noise was compared, which has no labels.
    """

    faces: int
    difference: float
    agreement: float
    accuracy_loss: float

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict, ready for JSON."""
        return self._asdict()


class Tolerance(NamedTuple):
    """The worst :class:`Parity` at which a file is still written."""

    difference: float
    agreement: float
    accuracy_loss: float

    def allows(self, parity: Parity) -> bool:
        """Whether a network is close enough; one face may differ, as a tie weighs much among few faces."""
        one = 1 / parity.faces + 1e-9
        return (
            parity.difference <= self.difference
            and 1 - parity.agreement <= max(1 - self.agreement, one)
            and parity.accuracy_loss <= max(self.accuracy_loss, one)
        )


TOLERANCES = {
    "fp32": Tolerance(1e-3, 0.998, 0.001),
    "fp16": Tolerance(2e-2, 0.99, 0.003),
    "bf16": Tolerance(2e-1, 0.97, 0.003),
    "int8": Tolerance(3e-1, 0.96, 0.003),
}


def export(
    checkpoint: Where = None,
    output: Path | None = None,
    *,
    engine: str = "onnx",
    precision: str = "fp16",
    training: FaceSet | None = None,
    validation: FaceSet | None = None,
) -> Parity:
    """Write the file of an engine, for any batch size.

    Args:
        checkpoint: Checkpoint with a ``model.safetensors``, see :meth:`cmaen.checkpoints.Checkpoint.open`.
        output: Folder for the file and its card; ``None``: beside the weights.
        engine: ``onnx`` or ``openvino``.
        precision: ``fp32``; ``fp16``, weights of half the size, computed in float32; ``bf16``, the same weights,
            computed in bfloat16 if the processor can; ``int8``, computed in 8 bits.
        training: Faces whose activations set the scales of int8.
        validation: Faces on which both networks are compared: all for int8, 500 otherwise. Without faces, noise is
            used.

    Returns:
        The agreement of the exported network with the original.

    Raises:
        ConfigError: The engine or the precision does not exist, int8 was requested without faces, ``output`` holds
            another network, or there is no ``output`` and the checkpoint does not belong to the user.
        CheckpointError: There are no usable weights.
        ExportError: The two networks differ by more than :data:`TOLERANCES` allows; nothing is written then.
    """
    if precision not in PRECISIONS.get(engine, ()):
        known = "; ".join(f"{name}: {', '.join(values)}" for name, values in PRECISIONS.items())
        raise ConfigError(f"{engine!r} in {precision!r} is not an available export; choose from {known}")
    if precision == "int8" and (training is None or validation is None):
        raise ConfigError("int8 is calibrated on training faces and checked on validation: name the data set")
    if validation is not None:
        validation.require(Split.VALIDATION, "judging an export")
    opened = Checkpoint.open(checkpoint)
    if output is None:
        opened.require_own()
    output = output or opened.folder
    model, card = load_checkpoint(opened)
    with Checkpoint.stage(output) as draft:
        there = _read_beside(output, opened)
        _write(model, card.preprocess, draft, engine, precision, training)
        card = replace(
            card,
            cost=_measure_cost(model, card.preprocess.image_size),
            precision={**there.card.precision, engine: precision},
        )
        metrics = there.metrics.merge(opened.metrics).without_engine(engine)
        documents = Documents(card, opened.provenance, metrics, opened.history, opened.seen)
        write_documents(draft, documents, weights=FILES[engine], kept=there.card.sha256)
        if validation is not None and precision != "int8":
            validation = _some(validation, _PARITY_FACES)
        parity = _compare(opened, draft, engine, validation)
        allowed = TOLERANCES[precision]
        if not allowed.allows(parity):
            raise ExportError(f"not written because it differs from PyTorch: {parity}; allowed: {allowed}")
        if validation is not None and precision == "int8":  # only int8 is compared on all faces
            measured = score(validation, card, build_engine(engine, draft), precision=precision)
            documents = replace(documents, metrics=metrics.add(validation.title, engine, measured))
        (draft / _PLAIN).unlink()
        write_documents(draft, documents, weights=FILES[engine], kept=there.card.sha256)
    return parity


def _read_beside(output: Path, opened: Checkpoint) -> Documents:
    """Read the documents of the files in the output folder that stay."""
    if not (output / CARD).is_file():
        return Documents(opened.card.without_files(), metrics=Metrics())
    there = Checkpoint(output).documents
    if (there.card.without_files(), there.provenance) != (opened.card.without_files(), opened.provenance):
        raise ConfigError(f"{output} holds another network; choose another folder")
    return there


def _write(
    model: EmotionNetwork, spec: PreprocessSpec, folder: Path, engine: str, precision: str, training: FaceSet | None
) -> None:
    plain = folder / _PLAIN
    _write_onnx(model, spec.image_size, plain)
    if precision == "int8" and training is not None:
        quantise(plain, spec, _some(training, _CALIBRATION_FACES))
    if engine == "openvino":
        _write_openvino(plain, folder / OPENVINO, half=precision in ("fp16", "bf16"))
    else:
        exported = onnx.load(str(plain))
        if precision in ("fp16", "int8"):
            exported = with_half_weights(exported, matrices_alone=precision == "int8")
        onnx.save(exported, str(folder / ONNX))


class _Answers(nn.Module):
    """A network that returns a tuple of tensors: those of :data:`cmaen.engines.OUTPUTS` that it has."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        output = self.model(images)
        perceived = () if output.perceived_logits is None else (output.perceived_logits,)
        return output.logits, output.features, *perceived


def _write_onnx(model: EmotionNetwork, size: int, path: Path) -> None:
    model.fold_norms()
    model.requires_grad_(False)  # the exporter would trace with gradients, which takes longer
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Answers(model).eval(),
            (torch.zeros(2, 3, size, size),),
            str(path),
            input_names=["images"],
            output_names=list(OUTPUTS if model.perceived_classifier is not None else OUTPUTS[:2]),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    onnx.save(without_traces(onnx.load(str(path))), str(path))


def _write_openvino(source: Path, path: Path, *, half: bool) -> None:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("the format openvino", "fast") from error
    openvino.save_model(openvino.Core().read_model(source), path, compress_to_fp16=half)


def _measure_cost(model: nn.Module, size: int) -> dict[str, int]:
    """Measure the number of parameters, and of operations for one face."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, size, size))
    return {
        "parameters": sum(value.numel() for value in model.parameters()),
        "flops": int(counter.get_total_flops()),
    }


def _some(faces: FaceSet, count: int) -> FaceSet:
    """Select at most ``count`` faces, at random but always the same."""
    return faces.select(np.sort(np.random.default_rng(0).permutation(len(faces))[:count]))


def _compare(checkpoint: Checkpoint, draft: Path, engine: str, faces: FaceSet | None) -> Parity:
    """Compare the networks: the worst of all label schemes, with the accuracy of the first, which has labels."""
    spec, schemes = checkpoint.card.preprocess, list(checkpoint.card.schemes)
    networks = build_engine("torch", checkpoint), build_engine(engine, draft)
    if faces is None:
        shape = (_NOISE, 3, spec.image_size, spec.image_size)
        noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        outputs = [output_of(scheme) for scheme in schemes]
        original, exported = (network.run(noise, outputs) for network in networks)
    else:
        original, exported = (list(logits_by_scheme(faces, spec, network, schemes).values()) for network in networks)
    compared = [_compare_outputs(*pair, faces) for pair in zip(original, exported, strict=True)]
    return compared[0]._replace(
        difference=max(parity.difference for parity in compared),
        agreement=min(parity.agreement for parity in compared),
    )


def _compare_outputs(original: NDArray[np.float32], exported: NDArray[np.float32], faces: FaceSet | None) -> Parity:
    before, after = probabilities(original), probabilities(exported)
    answers = before.argmax(axis=1), after.argmax(axis=1)
    agreement, difference = float((answers[0] == answers[1]).mean()), float(np.abs(before - after).max())
    if faces is None or before.shape[1] != len(faces.classes):
        return Parity(len(before), difference, agreement, 0.0)
    whole, rounded = (measure(faces.labels, answer, faces.classes) for answer in answers)
    return Parity(len(before), difference, agreement, whole.accuracy - rounded.accuracy)
