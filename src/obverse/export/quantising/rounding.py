"""Rounding of the weights of convolutions and products to integers, by which outputs change least on some samples.

Each weight in turn is rounded, and the weights of its output channel that are not rounded yet make up for the error:
GPTQ (Frantar et al. 2022, https://arxiv.org/abs/2210.17323, algorithm 1). Errors of plain rounding shift the means of
channels, and shifts add up from layer to layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.engines import OnnxSession

from ..samples import Arrays

Array = npt.NDArray[Any]
# Positions that are drawn of each sample. More hardly change the result.
MOST_POSITIONS = 256
# Share of the mean diagonal that is added to it, as in the paper.
DAMPING = 0.01
# Weights of an output channel that are rounded before those after them are changed, in one product.
BLOCK = 128


def round_weights(changed: Any, exact: Any, calibration: Sequence[Arrays], largest: Mapping[str, int]) -> None:
    """Replace the integer weights of an ONNX model that ONNX Runtime has quantised; their scales stay.

    exact: the model before. largest: of each weight that is replaced, the largest integer.
    """
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in changed.graph.initializer}
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in exact.graph.initializer
               if tensor.name in largest and len(tensor.dims) in (2, 4)}  # fmt: skip
    nodes = [node for node in exact.graph.node if node.op_type in ("Conv", "MatMul") and node.input[1] in weights]
    for name, moments_GKK in _moments(exact, nodes, weights, calibration).items():
        scales_O = numpy_helper.to_array(stored[f"{name}_scale"])
        is_product = weights[name].ndim == 2  # (inputs, outputs)
        integers = rounded(weights[name].T if is_product else weights[name], scales_O, moments_GKK, largest[name])
        turned = np.ascontiguousarray(integers.T) if is_product else integers
        stored[f"{name}_quantized"].CopyFrom(numpy_helper.from_array(turned, f"{name}_quantized"))


def rounded(weights: Array, scales_O: Array, moments_GKK: Array, largest: int) -> Array:
    """The weights (O, inputs...) divided by the scales, as int8; of a convolution (O, I, height, width).

    moments_GKK: for each group of the convolution, the mean products of its K inputs.
    """
    groups, num = moments_GKK.shape[:2]
    rest_GOK = (weights.reshape(len(weights), -1) / scales_O.reshape(-1, 1)).reshape(groups, -1, num).astype(np.float64)
    diagonal_GK = np.einsum("gkk->gk", moments_GKK)
    damping_G = DAMPING * diagonal_GK.mean(1) + 1e-8  # channels that are always zero have no moments
    inverse_GKK = np.linalg.inv(moments_GKK + damping_G[:, None, None] * np.eye(num))
    factor_GKK = np.linalg.cholesky(inverse_GKK).transpose(0, 2, 1)
    integers_GOK = np.zeros_like(rest_GOK)
    for start in range(0, num, BLOCK):
        part = slice(start, start + BLOCK)
        block_GOK, errors_GOK = _rounded_block(rest_GOK[:, :, part], factor_GKK[:, part, part], largest)
        integers_GOK[:, :, part] = block_GOK
        rest_GOK[:, :, part.stop :] -= errors_GOK @ factor_GKK[:, part, part.stop :]
    return integers_GOK.reshape(weights.shape).astype(np.int8)


def _rounded_block(weights_GOK: Array, factor_GKK: Array, largest: int) -> tuple[Array, Array]:
    """Weights rounded in turn, and the errors that the weights after them make up for."""
    rest_KGO = np.ascontiguousarray(weights_GOK.transpose(2, 0, 1))
    integers_KGO, errors_KGO = np.zeros_like(rest_KGO), np.zeros_like(rest_KGO)
    for k in range(len(rest_KGO)):
        integers_KGO[k] = np.rint(rest_KGO[k]).clip(-largest, largest)
        errors_KGO[k] = (rest_KGO[k] - integers_KGO[k]) / factor_GKK[:, k, k, None]
        rest_KGO[k + 1 :] -= factor_GKK[:, k, k + 1 :].T[:, :, None] * errors_KGO[k]
    return integers_KGO.transpose(1, 2, 0), errors_KGO.transpose(1, 2, 0)


def _moments(
    exact: Any, nodes: Sequence[Any], weights: Mapping[str, Array], calibration: Sequence[Arrays]
) -> dict[str, Array]:
    """Weight -> the mean products (G, K, K) of the inputs by which a node multiplies it."""
    rng, sums, counts = np.random.default_rng(0), dict[str, Array](), dict[str, int]()
    for given in _inputs_of(exact, nodes, calibration):
        for node in nodes:
            name = node.input[1]
            inputs = given[node.input[0]]
            if node.op_type == "Conv":
                inputs_GPK = _patches(inputs, weights[name].shape, _attributes(node), rng)
            else:
                rows = inputs.reshape(-1, inputs.shape[-1])
                inputs_GPK = rows[rng.permutation(len(rows))[:MOST_POSITIONS]][None]
            sums[name] = sums.get(name, 0.0) + inputs_GPK.transpose(0, 2, 1) @ inputs_GPK
            counts[name] = counts.get(name, 0) + inputs_GPK.shape[1]
    return {name: total / counts[name] for name, total in sums.items()}


def _inputs_of(exact: Any, nodes: Sequence[Any], calibration: Sequence[Arrays]) -> Iterator[dict[str, Array]]:
    """The inputs of nodes for each calibration sample, by tensor."""
    from onnx import TensorProto, helper

    copy = type(exact).FromString(exact.SerializeToString())
    names = list(dict.fromkeys(node.input[0] for node in nodes))
    del copy.graph.output[:]
    copy.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = OnnxSession(copy.SerializeToString())
    yield from map(session.run, calibration)


def _attributes(node: Any) -> dict[str, list[int]]:
    """Kernel, strides, pads, dilations and group of a convolution, in so far as it gives them."""
    return {attribute.name: list(attribute.ints) or [attribute.i] for attribute in node.attribute}


def _patches(inputs: Array, shape: Sequence[int], given: Mapping[str, list[int]], rng: np.random.Generator) -> Array:
    """The inputs (G, P, K) of a convolution at P random positions. shape: of its weights."""
    top, left, bottom, right = given.get("pads", [0] * 4)
    (down, across), (rows, columns) = given.get("dilations", [1, 1]), given.get("strides", [1, 1])
    padded = np.pad(inputs, ((0, 0), (0, 0), (top, bottom), (left, right)))
    window = ((shape[2] - 1) * down + 1, (shape[3] - 1) * across + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(2, 3))
    windows = windows[:, :, ::rows, ::columns, ::down, ::across]
    num, _, height, width = windows.shape[:4]
    places = rng.permutation(num * height * width)[:MOST_POSITIONS]
    n, y, x = np.unravel_index(places, (num, height, width))
    (group,) = given.get("group", [1])
    patches = windows[n, :, y, x].reshape(len(places), group, -1)
    return np.ascontiguousarray(patches.transpose(1, 0, 2), np.float32)
