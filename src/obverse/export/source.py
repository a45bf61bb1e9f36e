"""Trained model that is exported, and the files of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from obverse.bundle import Bundle, find_bundle, read_bundle
from obverse.errors import OutputError
from obverse.files import write_whole
from obverse.models import Classifier


@dataclass(frozen=True)
class TrainedModel:
    """A bundle with its classifier, and where they come from."""

    bundle: Bundle

    classifier: Classifier
    """The network, on the CPU and in evaluation mode."""

    run: Path | None = None
    """The run folder, whose manifest leads to pictures for checks; None for a bundle without one."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """The model of a run folder or bundle. DataError as `read_bundle`."""
        folder = find_bundle(path)
        run = folder.absolute().parent
        return cls(*read_bundle(folder), run if (run / "manifest.csv").is_file() else None)


def write_files(files: dict[Path, bytes]) -> None:
    """Write each file whole, in order. OutputError when one cannot be written."""
    for path, data in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        except OSError as error:
            raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
