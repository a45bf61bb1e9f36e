"""Export of models to file formats of other programs."""

from .formats import write_model
from .graph import PRESENT, Names
from .onnx import Exact
from .pth import class_names, fold_output, read_pth, write_pth
from .quantising import File, Method, exact_and_quantised, require_usable
from .samples import Arrays, decoded
from .source import TrainedModel

__all__ = [
    "PRESENT",
    "Arrays",
    "Exact",
    "File",
    "Method",
    "Names",
    "TrainedModel",
    "class_names",
    "decoded",
    "exact_and_quantised",
    "fold_output",
    "read_pth",
    "require_usable",
    "write_model",
    "write_pth",
]
