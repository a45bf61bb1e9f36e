"""Export of modules to ONNX: one set of options of torch's exporter. Only this file calls it."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from obverse.errors import UnavailableError

OPSET = 20


def to_onnx(module: nn.Module, arguments: tuple[Any, ...], **options: Any) -> Any:
    """The ONNX model (`onnx.ModelProto`) of a module in evaluation mode, its weights inside.

    options: those of `torch.onnx.export`: names, dynamic shapes, translations. UnavailableError without the packages.
    """
    require_packages("onnx", "onnxscript")
    translations = {torch.ops.aten.sort.stable: _stable_sort, **options.pop("custom_translation_table", {})}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about its own parts
        program = torch.onnx.export(
            module,
            arguments,
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
            custom_translation_table=translations,
            **options,
        )
    assert program is not None
    return program.model_proto


def _stable_sort(values: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
    """The translation of `aten::sort.stable`, which the exporter lacks: TopK of all keeps the order of equal values."""
    from onnxscript import opset20

    op: Any = opset20
    length = op.Shape(values, start=dim, end=dim + 1)
    return op.TopK(values, length, axis=dim, largest=int(descending), sorted=1)


def require_packages(*names: str) -> None:
    """UnavailableError, naming the extra, when a package that ONNX needs is missing."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise UnavailableError(f"{', '.join(missing)} not installed; pip install 'obverse[export]'")
