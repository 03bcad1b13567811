"""From a trained network to ONNX, with a check that both compute the same."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cmaen.card import ONNX, folder_of, read_card
from cmaen.errors import CheckpointError
from cmaen.files import replacing, sha256
from cmaen.models.checkpoint import load_checkpoint

OPSET = 20
MAX_DIFFERENCE = 1e-3
_PROBES = 64


class Parity(NamedTuple):
    """How near the exported network is: largest difference of a probability, and part of equal answers."""

    max_difference: float
    agreement: float


class _Logits(nn.Module):
    """The network with one tensor for a result."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images).logits
        return logits


def export_onnx(checkpoint: Path) -> Parity:
    """Write ``model.onnx`` into a checkpoint's folder: any batch size, weights stored as float16, computed in float32.

    Args:
        checkpoint: Folder with a ``model.safetensors``.

    Returns:
        How near the ONNX network is to the PyTorch one on random images.

    Raises:
        CheckpointError: There are no usable weights, or the two networks differ by more than :data:`MAX_DIFFERENCE`; no
            file is written then.
    """
    model, card = load_checkpoint(checkpoint)
    network = _Logits(model).eval()
    size = card.preprocess.image_size
    probes = np.random.default_rng(0).standard_normal((_PROBES, 3, size, size)).astype(np.float32)
    folder = folder_of(checkpoint)
    with replacing(folder / ONNX) as temporary:
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.from_numpy(probes[:2]),),
                str(temporary),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1, max=4096)}},
                opset_version=OPSET,
                external_data=False,
                dynamo=True,
                verbose=False,
            )
        onnx.save(with_half_weights(without_traces(onnx.load(str(temporary)))), str(temporary))
        parity = _compare(network, temporary, probes)
        if parity.max_difference > MAX_DIFFERENCE:
            raise CheckpointError(
                f"the ONNX network differs from the PyTorch one by {parity.max_difference:.4f}; not written"
            )
    card = read_card(folder)
    cost = {"parameters": sum(value.numel() for value in model.parameters()), "flops": _flops(network, probes)}
    replace(card, cost=cost, sha256={**card.sha256, ONNX: sha256(folder / ONNX)}).write(folder)
    return parity


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter notes about each node: stack traces, which are large and name this machine's folders."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del noted.metadata_props[:]
        noted.doc_string = ""
    return model


def with_half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the large float32 weights as float16, each behind a cast that ONNX Runtime folds away when it loads."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if (
            tensor.data_type != TensorProto.FLOAT
            or values.size < 64
            or np.abs(values).max() >= np.finfo(np.float16).max
        ):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return model


def _flops(network: nn.Module, probes: NDArray[np.float32]) -> int:
    """Operations for one face."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.from_numpy(probes[:1]))
    return int(counter.get_total_flops())


def _compare(network: nn.Module, path: Path, probes: NDArray[np.float32]) -> Parity:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    exported = torch.from_numpy(session.run(["logits"], {"images": probes})[0]).softmax(dim=1)
    with torch.inference_mode():
        original = network(torch.from_numpy(probes)).softmax(dim=1)
    difference = (exported - original).abs().max().item()
    agreement = (exported.argmax(dim=1) == original.argmax(dim=1)).float().mean().item()
    return Parity(difference, agreement)
