"""ONNX models whose network computes in int8, each output channel of a product with its own scale.

- Transformers: the scales of activations are computed for each input.
- Convolutional networks: the scales are measured on calibration samples.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..samples import Arrays
from .graphs import is_convolutional, network_nodes

PRODUCTS = ["Conv", "MatMul", "Gemm"]
# An activation that cuts a range belongs to the product before it: measured after it, the range that int8 divides into
# levels has no part that is cut off anyway.
ACTIVATIONS = ["Relu", "Clip"]
# ONNX Runtime advises on its own optimiser unless this entry of the metadata says that it has run.
OPTIMISED = ("onnx.quant.pre_process", "onnxruntime.quant")


def with_int8_products(model: Any, calibration: Sequence[Arrays]) -> Any:
    """The ONNX model with the products and convolutions of its network in int8."""
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
                op_types_to_quantize=PRODUCTS + ACTIVATIONS,
                reduce_range=True,
                extra_options={"TensorQuantOverrides": _of_depthwise(model, QuantType.QInt8)},
                **common,
            )
        else:
            quantize_dynamic(model, path, op_types_to_quantize=PRODUCTS[1:], **common)
        changed = onnx.load(path)
    kept = [entry for entry in changed.metadata_props if entry.key != OPTIMISED[0]]
    del changed.metadata_props[:]
    changed.metadata_props.extend(kept)
    return changed


def _of_depthwise(model: Any, kind: Any) -> dict[str, list[dict[str, Any]]]:
    """All 8 bits for the weights of depthwise convolutions, whose products every processor adds in 32 bits."""
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    groups = {node.input[1]: attribute.i for node in model.graph.node if node.op_type == "Conv"
              for attribute in node.attribute if attribute.name == "group"}  # fmt: skip
    option = {"quant_type": kind, "axis": 0, "symmetric": True, "reduce_range": False}
    return {name: [option] for name, group in groups.items() if sizes[name][:2] == (group, 1) and group > 1}


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
