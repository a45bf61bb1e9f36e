"""Export of models to file formats of other programs."""

from .formats import write_model
from .pth import class_names, fold_output, read_pth, write_pth

__all__ = ["class_names", "fold_output", "read_pth", "write_model", "write_pth"]
