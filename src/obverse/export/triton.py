"""Export format `triton`: a model's folder in a model repository of Triton Inference Server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from obverse.errors import OutputError, printable
from obverse.staging import staged

from .onnx import checked
from .source import TrainedModel

MAX_BATCH_SIZE = 32
LABELS = "labels.txt"
# Types of `onnx.TensorProto` -> those of Triton's `model_config.proto`.
TYPES = {1: "TYPE_FP32", 2: "TYPE_UINT8", 7: "TYPE_INT64", 9: "TYPE_BOOL"}
NOTE = (
    "# The answers were compared with torch's on a CPU. KIND_GPU is faster there; measure the answers again.\n"
    "instance_group [{ kind: KIND_CPU }]\n"
    "# Requests of equally large pictures that wait at the same time are answered together.\n"
    "dynamic_batching { }\n"
)


def write(path: Path, model: TrainedModel) -> str:
    """Write the folder of a model, whose name is the model's; return what was checked, in words.

    Errors: see `checked`; OutputError when it cannot be written.
    """
    data, words = checked(model)
    labels = "".join(f"{printable(name)}\n" for name in model.bundle.classes)
    try:
        with staged(path) as stage:
            (stage / "1").mkdir()
            (stage / "1/model.onnx").write_bytes(data)
            (stage / "config.pbtxt").write_text(config(path.absolute().name, data), "utf-8")
            (stage / LABELS).write_text(labels, "utf-8")
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    return words


def config(name: str, data: bytes) -> str:
    """Text of `config.pbtxt` for an ONNX model; the first dimension of all its tensors is the batch."""
    from onnx import load_model_from_string

    graph = load_model_from_string(data).graph
    return (
        f"name: {_quoted(name)}\n"
        'backend: "onnxruntime"\n'
        f"max_batch_size: {MAX_BATCH_SIZE}\n"
        f"{_tensors('input', graph.input)}{_tensors('output', graph.output)}{NOTE}"
    )


def _tensors(field: str, infos: Iterable[Any]) -> str:
    return "".join(f"{field} {{\n{_tensor(info)}}}\n" for info in infos)


def _tensor(info: Any) -> str:
    kind = info.type.tensor_type
    sizes = [dim.dim_value or -1 for dim in kind.shape.dim][1:]
    lines = [
        f"name: {_quoted(info.name)}",
        f"data_type: {TYPES[kind.elem_type]}",
        f"dims: {sizes or [1]}",
        # Triton has no tensor without dimensions besides the batch.
        *(["reshape { shape: [ ] }"] if not sizes else []),
        *([f"label_filename: {_quoted(LABELS)}"] if info.name == "probabilities" else []),
    ]
    return "".join(f"  {line}\n" for line in lines)


def _quoted(text: str) -> str:
    """Text as a string of the text format of protocol buffers."""
    return json.dumps(text, ensure_ascii=False)
