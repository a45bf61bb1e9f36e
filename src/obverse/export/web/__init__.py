"""Export format `web`: a folder with a page that runs the model in the browser."""

from .folder import write
from .runtime import runtime_files

__all__ = ["runtime_files", "write"]
