"""Tensors of the Open Inference Protocol, in JSON and in the binary extension."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.serving.refusals import Refusal

from .hugging_face import read_base64

Value = bytes | npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Tensor:
    """One input: a picture file, pixels (height, width, 3) or a text for each sample."""

    name: str
    values: Sequence[Value]


def read_tensors(inputs: Any, binary: memoryview, *, texts: Sequence[str], max_samples: int) -> list[Tensor]:
    """The inputs of a request. binary: what follows the JSON. texts: names of inputs whose BYTES are texts, in JSON no
    base64.

    Refusal: bad-tensor, too-many.
    """
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        raise Refusal("bad-tensor", "`inputs` must be a list of tensors")
    tensors, place = [], 0
    for each in inputs:
        shape = _shape(each, max_samples)
        size = _binary_size(each)
        data = each.get("data") if size is None else binary[place : place + size]
        if isinstance(data, memoryview) and len(data) != size:
            raise Refusal("bad-tensor", "the binary data is shorter than `binary_data_size` says")
        place += size or 0
        tensors.append(Tensor(each["name"], _values(each, shape, data, texts)))
    if place != len(binary):
        raise Refusal("bad-tensor", "the binary data is longer than its tensors")
    return tensors


def _shape(tensor: Mapping[str, Any], max_samples: int) -> list[int]:
    shape = tensor.get("shape")
    is_shape = isinstance(shape, list) and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape)
    if not isinstance(tensor.get("name"), str) or not is_shape or not shape:
        raise Refusal("bad-tensor", "a tensor needs a `name` and a `shape` of whole numbers above 0")
    if shape[0] > max_samples:
        raise Refusal("too-many", f"a request has at most {max_samples} samples")
    return list(shape)


def _binary_size(tensor: Mapping[str, Any]) -> int | None:
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Refusal("bad-tensor", "`binary_data_size` must be a whole number")
    return size


def _values(tensor: Mapping[str, Any], shape: list[int], data: Any, texts: Sequence[str]) -> Sequence[Value]:
    kind = tensor.get("datatype")
    if kind == "UINT8" and isinstance(data, memoryview):
        if len(shape) != 4 or shape[3] != 3 or math.prod(shape) != len(data):
            raise Refusal("bad-tensor", "pixels are UINT8 (samples, height, width, 3)")
        return list(np.frombuffer(data, np.uint8).reshape(shape))
    if kind == "UINT8":
        raise Refusal("bad-tensor", "pixels are sent in binary form (`binary_data_size`), not as JSON numbers")
    if kind != "BYTES" or math.prod(shape) != shape[0]:
        raise Refusal("bad-tensor", "a tensor is BYTES (samples) of picture files, or UINT8 (samples, height, width, "
                      "3) of pixels")  # fmt: skip
    if isinstance(data, memoryview):
        values = _read_elements(data)
    elif isinstance(data, list) and all(isinstance(each, str) for each in data):
        values = [each.encode() if tensor["name"] in texts else read_base64(each) for each in data]
    else:
        raise Refusal("bad-tensor", "the `data` of BYTES is a list of texts")
    if len(values) != shape[0]:
        raise Refusal("bad-tensor", "a tensor has another number of values than its `shape` says")
    return values


def _read_elements(data: memoryview) -> list[bytes]:
    """Elements of BYTES, each behind its length, uint32 little-endian."""
    values, place = [], 0
    while place + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, place)
        place += 4 + length
        if place > len(data):
            break
        values.append(bytes(data[place - length : place]))
    if place != len(data):
        raise Refusal("bad-tensor", "the elements of BYTES do not fill their data")
    return values


Array = npt.NDArray[np.float32] | list[str]


def write_tensor(name: str, values: Array, *, is_binary: bool) -> tuple[dict[str, Any], bytes]:
    """One output: its JSON, and its binary data. values: float32 of any shape, or a text for each sample."""
    if isinstance(values, list):
        encoded = [value.encode() for value in values]
        data = b"".join(struct.pack("<I", len(value)) + value for value in encoded)
        head: dict[str, Any] = {"name": name, "datatype": "BYTES", "shape": [len(values)]}
        plain: Any = values
    else:
        data = values.astype("<f4").tobytes()
        head = {"name": name, "datatype": "FP32", "shape": list(values.shape)}
        plain = values.ravel().tolist()
    if is_binary:
        return {**head, "parameters": {"binary_data_size": len(data)}}, data
    return {**head, "data": plain}, b""
