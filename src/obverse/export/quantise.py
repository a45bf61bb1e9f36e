"""Quantisation of an exported ONNX graph: int8 arithmetic, or weights stored as fp16.

Only the network between the fitted pictures and the embeddings is changed. The geometry before it stays exact, because
a picture that is resized in int8 is another picture, and the decision after it stays fp32.

- int8 of transformers is dynamic: the scales of activations are computed for each input.
- int8 of convolutional networks is static: the scales are measured on calibration samples.
- fp16 halves the file. Runtimes convert the weights back when they load it, so the answers hardly change.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .graph import PIXELS
from .onnx import Exact, without_pixels
from .samples import Arrays

Method = Literal["int8", "fp16"]
EMBEDDINGS = "embeddings"
# Smaller tensors are biases and constants, which cost no space.
LEAST_VALUES = 1024
# ONNX Runtime advises on its own optimiser unless this entry of the metadata says that it has run.
OPTIMISED = ("onnx.quant.pre_process", "onnxruntime.quant")


def quantised(exact: Exact, method: Method, calibration: Sequence[Arrays]) -> bytes:
    """The content of the quantised file. calibration: inputs of single samples, used where scales are measured."""
    copy = type(exact.model).FromString(exact.model.SerializeToString())
    changed = _with_half_weights(copy) if method == "fp16" else _with_int8_products(copy, calibration)
    mark = changed.metadata_props.add()
    mark.key, mark.value = "quantised", method
    return without_pixels(changed)


def is_convolutional(model: Any) -> bool:
    """Whether the network has more convolutions than products by weights."""
    weights, inside = {tensor.name for tensor in model.graph.initializer}, set(network_nodes(model))
    kinds = [node.op_type for node in model.graph.node if node.name in inside and weights.intersection(node.input)]
    return kinds.count("Conv") > kinds.count("MatMul") + kinds.count("Gemm")


def network_nodes(model: Any) -> list[str]:
    """Names of the nodes between the fitted pictures and the embeddings."""
    pixels = [output.name for output in model.graph.output if output.name.startswith(PIXELS)]
    before = _ancestors(model, pixels)
    return [name for name in _ancestors(model, [EMBEDDINGS]) if name not in before]


def _ancestors(model: Any, tensors: Sequence[str]) -> dict[str, None]:
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


def _with_int8_products(model: Any, calibration: Sequence[Arrays]) -> Any:
    """The model with the products and convolutions of its network in int8, each output channel with its own scale."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    nodes, is_static = network_nodes(model), is_convolutional(model)
    del model.graph.value_info[:]  # shapes of the exporter that the changed graph no longer has
    mark = model.metadata_props.add()
    mark.key, mark.value = OPTIMISED
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        common = {"nodes_to_quantize": nodes, "per_channel": True, "weight_type": QuantType.QInt8}
        if is_static:
            # 7-bit weights: processors without VNNI add pairs of products in 16 bits, which 8-bit ones can overflow.
            quantize_static(
                model,
                path,
                _reader(calibration),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                op_types_to_quantize=["Conv", "MatMul", "Gemm"],
                reduce_range=True,
                **common,
            )
        else:
            quantize_dynamic(model, path, op_types_to_quantize=["MatMul", "Gemm"], **common)
        changed = onnx.load(path)
    kept = [entry for entry in changed.metadata_props if entry.key != OPTIMISED[0]]
    del changed.metadata_props[:]
    changed.metadata_props.extend(kept)
    return changed


def _reader(calibration: Sequence[Arrays]) -> Any:
    """ONNX Runtime's reader of calibration samples."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Reader of samples in order."""

        def __init__(self) -> None:
            self._samples: Iterator[Arrays] = iter(calibration)

        def get_next(self) -> Arrays | None:
            """The next sample; None after the last."""
            return next(self._samples, None)

    return Reader()


def _with_half_weights(model: Any) -> Any:
    """The model whose large weights are stored as fp16, each with an operator that converts it back."""
    from onnx import TensorProto, helper, numpy_helper

    before = _ancestors(model, [output.name for output in model.graph.output if output.name.startswith(PIXELS)])
    of_geometry = {name for node in model.graph.node if node.name in before for name in node.input}
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or weight.name in of_geometry:
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
