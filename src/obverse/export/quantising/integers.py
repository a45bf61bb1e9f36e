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
from .graphs import fold_transposes, is_convolutional, network_nodes
from .rounding import round_weights

PRODUCTS = ["Conv", "MatMul", "Gemm"]
# The largest integer of a weight of 7 bits. Processors without VNNI add pairs of products in 16 bits, which weights of
# 8 bits can overflow. ONNX Runtime calls it a reduced range.
LARGEST = 64
# An activation that cuts a range belongs to the product before it: measured after it, the range that int8 divides into
# levels has no part that is cut off anyway.
ACTIVATIONS = ["Relu", "Clip"]
# ONNX Runtime advises on its own optimiser unless this entry of the metadata says that it has run.
OPTIMISED = ("onnx.quant.pre_process", "onnxruntime.quant")


def with_int8_products(model: Any, calibration: Sequence[Arrays]) -> Any:
    """The ONNX model with the products and convolutions of its network in int8."""
    import onnx

    exact, is_static = type(model).FromString(model.SerializeToString()), is_convolutional(model)
    fold_transposes(exact)
    copy = type(model).FromString(exact.SerializeToString())
    del copy.graph.value_info[:]  # shapes of the exporter that the changed graph no longer has
    mark = copy.metadata_props.add()
    mark.key, mark.value = OPTIMISED
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        if is_static:
            _write_static(path, copy, calibration)
        else:
            _write_dynamic(path, copy)
        changed = onnx.load(path)
    kept = [entry for entry in changed.metadata_props if entry.key != OPTIMISED[0]]
    del changed.metadata_props[:]
    changed.metadata_props.extend(kept)
    round_weights(changed, exact, calibration, _largest(exact, changed))
    return changed


def _write_dynamic(path: Path, model: Any) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        model,
        path,
        op_types_to_quantize=PRODUCTS[1:],
        nodes_to_quantize=network_nodes(model),
        per_channel=True,
        weight_type=QuantType.QInt8,
        reduce_range=True,
    )


def _write_static(path: Path, model: Any, calibration: Sequence[Arrays]) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    # Products of a depthwise convolution are added in 32 bits everywhere.
    full = {"quant_type": QuantType.QInt8, "axis": 0, "symmetric": True, "reduce_range": False}
    quantize_static(
        model,
        path,
        _reader(calibration),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=PRODUCTS + ACTIVATIONS,
        nodes_to_quantize=network_nodes(model),
        per_channel=True,
        reduce_range=True,
        extra_options={"TensorQuantOverrides": {name: [full] for name in _depthwise_weights(model)}},
    )


def _depthwise_weights(model: Any) -> set[str]:
    """Names of the weights of convolutions whose channels each see one channel."""
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    groups = {node.input[1]: attribute.i for node in model.graph.node if node.op_type == "Conv"
              for attribute in node.attribute if attribute.name == "group"}  # fmt: skip
    return {name for name, group in groups.items() if group > 1 and sizes.get(name, ())[:2] == (group, 1)}


def _largest(model: Any, changed: Any) -> dict[str, int]:
    """The largest integer of each weight that is quantised."""
    stored, depthwise = {tensor.name for tensor in changed.graph.initializer}, _depthwise_weights(model)
    return {tensor.name: 127 if tensor.name in depthwise else LARGEST
            for tensor in model.graph.initializer if f"{tensor.name}_quantized" in stored}  # fmt: skip


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
