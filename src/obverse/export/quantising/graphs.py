"""Parts of an exported ONNX graph: the geometry, the network and the decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph import PIXELS

EMBEDDINGS = "embeddings"


def is_convolutional(model: Any) -> bool:
    """Whether the network has more convolutions than products by weights."""
    weights, inside = {tensor.name for tensor in model.graph.initializer}, set(network_nodes(model))
    kinds = [node.op_type for node in model.graph.node if node.name in inside and weights.intersection(node.input)]
    return kinds.count("Conv") > kinds.count("MatMul") + kinds.count("Gemm")


def network_nodes(model: Any) -> list[str]:
    """Names of the nodes between the fitted pictures and the embeddings."""
    before = geometry_nodes(model)
    return [name for name in ancestors(model, [EMBEDDINGS]) if name not in before]


def geometry_nodes(model: Any) -> dict[str, None]:
    """Names of the nodes from which the fitted pictures are computed."""
    return ancestors(model, [output.name for output in model.graph.output if output.name.startswith(PIXELS)])


def ancestors(model: Any, tensors: Sequence[str]) -> dict[str, None]:
    """Names of the nodes from which tensors are computed, their own among them."""
    makers = {output: node for node in model.graph.node for output in node.output}
    names: dict[str, None] = {}
    waiting = list(tensors)
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in names:
            names[node.name] = None
            waiting += node.input
    return names


def fold_transposes(model: Any) -> None:
    """Store the weights that a graph transposes as transposed: only a product by a stored matrix becomes int8."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    turned = [node for node in model.graph.node if node.op_type == "Transpose" and node.input[0] in stored]
    for node in turned:
        axes = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), None)
        values = numpy_helper.to_array(stored[node.input[0]]).transpose(axes)
        model.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        model.graph.node.remove(node)
    used = {name for node in model.graph.node for name in node.input}
    for name in {node.input[0] for node in turned} - used:
        model.graph.initializer.remove(stored[name])
