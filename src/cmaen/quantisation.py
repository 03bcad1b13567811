"""Quantising convolutions to 8 bits, with weights rounded such that the output of each changes least."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper
from torch import Tensor
from torch.nn import functional

from cmaen.data.splits import FaceSet, Split
from cmaen.preprocessing import PreprocessSpec

_BATCH_SIZE = 64
_MOMENT_EVERY, _MOMENT_BATCH = 4, 16
_STEPS, _DEPTHWISE_STEPS = 64, 127
"""The largest number that a weight is rounded to. Processors without VNNI add pairs of products in 16 bits, where 8-bit
weights overflow; ONNX Runtime computes depthwise convolutions in 32 bits everywhere.
"""

_ACTIVATIONS = ("Clip", "Relu")


def quantise(path: Path, spec: PreprocessSpec, faces: FaceSet) -> None:
    """Quantise convolutions to 8 bits, in place; the little that is left stays in float32.

    Args:
        path: An ONNX network with one input, ``images``.
        spec: Preprocessing of the network.
        faces: The faces of Training: they set the scales of the activations and show how the inputs of a layer
            correlate.

    Raises:
        SplitError: The faces do not belong to Training.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    faces.require(Split.TRAIN, "calibrating int8")

    class Faces(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = _batches(spec, faces, _BATCH_SIZE)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self.batches, None)

    quant_pre_process(str(path), str(path), skip_symbolic_shape=True)
    model = onnx.load(str(path))
    weights = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer
    }
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    by_groups = [  # part of an attention: in 8 bits ONNX Runtime computes the groups one by one
        node.name for node in convolutions if _attributes(node)["group"] > 1 < weights[node.input[1]].shape[1]
    ]
    in_float32 = {*by_groups, *_find_first_layers(model)}
    layers = [node for node in convolutions if node.name not in in_float32]
    depthwise = {layer.input[1] for layer in layers if _attributes(layer)["group"] > 1}
    in_eight_bits = {"quant_type": QuantType.QInt8, "axis": 0, "symmetric": True, "reduce_range": False}
    quantize_static(
        str(path),
        str(path),
        Faces(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", *_ACTIVATIONS],
        nodes_to_exclude=sorted(in_float32),
        extra_options={"TensorQuantOverrides": {name: [in_eight_bits] for name in depthwise}},
    )
    quantised = onnx.load(str(path))
    written = {tensor.name: tensor for tensor in quantised.graph.initializer}
    some = faces.select(np.arange(0, len(faces), _MOMENT_EVERY))
    for name, moment in _moments(model, layers, spec, some).items():
        scales = torch.from_numpy(numpy_helper.to_array(written[f"{name}_scale"]).copy())
        groups, steps = len(moment), _DEPTHWISE_STEPS if name in depthwise else _STEPS
        weight = weights[name].reshape(groups, -1, moment.shape[-1])
        rounded = round_together(weight, scales.reshape(groups, -1), moment, steps).reshape(weights[name].shape)
        tensor = written[f"{name}_quantized"]
        tensor.CopyFrom(numpy_helper.from_array(rounded.numpy().astype(np.int8), tensor.name))
    for node in quantised.graph.node:
        if node.op_type == "Shape":  # its size alone needs no dequantised values
            node.input[0] = node.input[0].removesuffix("_DequantizeLinear_Output")
    onnx.save(quantised, str(path))


def round_together(weights: Tensor, scales: Tensor, moments: Tensor, steps: int) -> Tensor:
    """Round weights to whole numbers, compensating for each error with the weights that are rounded later.

    A layer's inputs are correlated, so the nearest number for each weight is not the best one for their sum.
    Frantar et al. (GPTQ, 2023, https://arxiv.org/abs/2210.17323), algorithm 1, with a convolution's inputs.

    Args:
        weights: float [G, O, K], the weights of O outputs in each of G groups.
        scales: float [G, O], the value of one step.
        moments: float64 [G, K, K], sums over faces and places of the products of every two inputs.
        steps: The largest number.

    Returns:
        float64 [G, O, K], whole, from ``-steps`` to ``steps``.
    """
    left, scales = weights.double().clone(), scales.double()
    rounded = torch.empty_like(left)
    damping = 0.01 * moments.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-6)
    damped = moments + damping[:, None, None] * torch.eye(moments.shape[-1])
    factor = torch.linalg.cholesky(torch.linalg.inv(damped), upper=True)
    for k in range(left.shape[-1]):
        rounded[..., k] = (left[..., k] / scales).round().clamp(-steps, steps)
        error = (left[..., k] - rounded[..., k] * scales) / factor[:, k, k, None]
        left[..., k + 1 :] -= error[..., None] * factor[:, None, k, k + 1 :]
    return rounded


def _batches(spec: PreprocessSpec, faces: FaceSet, size: int) -> Iterator[dict[str, NDArray[np.float32]]]:
    for start in range(0, len(faces), size):
        yield {"images": spec(list(faces.images[start : start + size]))}


def _find_first_layers(model: onnx.ModelProto) -> Iterator[str]:
    """Find the convolutions of the image and what follows them: with three channels, float32 takes less time."""
    results: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] == "images":
            results.update(node.output)
            yield node.name
        elif node.op_type in _ACTIVATIONS and results & set(node.input):
            yield node.name


def _attributes(layer: NodeProto) -> dict[str, Any]:
    """Read the stride, padding and other attributes of a convolution; the exporter leaves out default values."""
    usual = {"group": 1, "pads": [0, 0, 0, 0], "strides": [1, 1], "dilations": [1, 1]}
    return usual | {attribute.name: helper.get_attribute_value(attribute) for attribute in layer.attribute}


def _moments(
    model: onnx.ModelProto, layers: list[NodeProto], spec: PreprocessSpec, faces: FaceSet
) -> dict[str, Tensor]:
    """Compute the ``moments`` of :func:`round_together` for the weights of each convolution, by name."""
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = sorted({layer.input[0] for layer in layers} - {"images"})
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    moments: dict[str, Tensor] = {}
    for batch in _batches(spec, faces, _MOMENT_BATCH):
        inputs = batch | dict(zip(names, session.run(names, batch), strict=True))
        for layer in layers:
            moment = _moment(torch.from_numpy(inputs[layer.input[0]]), _attributes(layer))
            weight = layer.input[1]
            moments[weight] = moments[weight] + moment if weight in moments else moment
    return moments


def _moment(images: Tensor, layer: dict[str, Any]) -> Tensor:
    top, left, bottom, right = layer["pads"]
    padded = functional.pad(images, (left, right, top, bottom))
    patches = functional.unfold(padded, layer["kernel_shape"], dilation=layer["dilations"], stride=layer["strides"])
    patches = patches.reshape(len(images), layer["group"], -1, patches.shape[-1])
    return torch.einsum("ngkl,ngjl->gkj", patches, patches).double()
