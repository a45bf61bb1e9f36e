"""Models in forms that other programs read."""

from .pth import PTH_NAME, class_names, fold_prior, read_pth, write_pth

__all__ = ["PTH_NAME", "class_names", "fold_prior", "read_pth", "write_pth"]
