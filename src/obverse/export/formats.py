"""Export of a trained model in one of the registered formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from obverse.registry import EXPORT_FORMATS, load_file

from .source import TrainedModel


def write_model(path: Path, format: str, model: TrainedModel) -> str:
    """Write the model to `path`, and return what was checked in words; empty where nothing is.

    format: name in the registry. OutputError when it cannot be written.
    """
    write: Callable[[Path, TrainedModel], str] = load_file("export", EXPORT_FORMATS[format].file).write
    return write(path, model)
