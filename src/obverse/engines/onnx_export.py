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
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about its own parts
        program = torch.onnx.export(
            module, arguments, dynamo=True, opset_version=OPSET, external_data=False, verbose=False, **options
        )
    assert program is not None
    return program.model_proto


def require_packages(*names: str) -> None:
    """UnavailableError, naming the extra, when a package that ONNX needs is missing."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise UnavailableError(f"{', '.join(missing)} not installed; pip install 'obverse[export]'")
