"""Export of models to file formats of other programs."""

from .formats import write_model
from .graph import PRESENT, Names
from .onnx import Exact
from .pth import class_names, fold_output, read_pth, write_pth
from .quantise import Method, quantised
from .samples import Arrays, decoded
from .source import TrainedModel, write_files

__all__ = [
    "PRESENT",
    "Arrays",
    "Exact",
    "Method",
    "Names",
    "TrainedModel",
    "class_names",
    "decoded",
    "fold_output",
    "quantised",
    "read_pth",
    "write_files",
    "write_model",
    "write_pth",
]
