"""Edits of ONNX graphs before they are written."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the exporter's notes on each node: stack traces, which are large and name this machine's folders."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del noted.metadata_props[:]
        noted.doc_string = ""
    return model


def with_half_weights(model: onnx.ModelProto, *, matrices_alone: bool = False, exact: bool = False) -> onnx.ModelProto:
    """Store the large float32 weights as float16, each with a cast that ONNX Runtime folds when it loads them.

    Args:
        model: The model, changed in place.
        matrices_alone: Whether to convert linear layers only; in an 8-bit network the other large tensors are scales,
            which must be plain for its layers to be fused.
        exact: Whether to leave tensors in float32 that float16 would round.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if (
            tensor.data_type != TensorProto.FLOAT
            or values.size < 64
            or (matrices_alone and values.ndim != 2)
            or np.abs(values).max() >= np.finfo(np.float16).max
            or (exact and not np.array_equal(values.astype(np.float16), values))
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
