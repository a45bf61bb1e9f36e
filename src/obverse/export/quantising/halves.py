"""Weights stored as fp16: half the file. Runtimes convert them back, so the answers hardly change."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import NUMBERS, VIEW_OUTPUTS
from .graphs import ancestors, geometry_nodes

# Smaller tensors are biases and constants, which cost no space.
LEAST_VALUES = 1024


def with_half_weights(model: Any) -> Any:
    """The ONNX model whose large weights are stored as fp16, each with an operator that converts it back."""
    from onnx import TensorProto, helper, numpy_helper

    inside = ancestors(model, NUMBERS + VIEW_OUTPUTS).keys() - geometry_nodes(model).keys()
    # Of the geometry, and of the outlier score after the network, both of which need all digits.
    exact = {name for node in model.graph.node if node.name not in inside for name in node.input}
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or weight.name in exact:
            continue
        values = numpy_helper.to_array(weight)
        if values.size < LEAST_VALUES or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name, stored = weight.name, f"{weight.name}.fp16"
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], f"{name}.fp32", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
