"""Export of a trained model in one of the registered formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from obverse.bundle import Bundle
from obverse.models import Classifier
from obverse.registry import EXPORT_FORMATS, load_file


def write_model(path: Path, format: str, bundle: Bundle, classifier: Classifier) -> None:
    """Write the model to `path` atomically. format: name in the registry. OutputError when it cannot be written."""
    write: Callable[[Path, Bundle, Classifier], None] = load_file("export", EXPORT_FORMATS[format].file).write
    write(path, bundle, classifier)
