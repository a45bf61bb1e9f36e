"""Export of models to file formats of other programs."""

from .formats import write_model
from .pth import class_names, fold_output, read_pth, write_pth
from .source import TrainedModel, write_files

__all__ = ["TrainedModel", "class_names", "fold_output", "read_pth", "write_files", "write_model", "write_pth"]
