"""What a manifest is read from. One file per kind of source."""

from __future__ import annotations

from pathlib import Path

from obverse.errors import DataError
from obverse.recipe import DataSpec

from .folders import read_folders
from .listing import Listing
from .run_folder import read_run_folder, run_folder_of
from .table import read_table

__all__ = ["Listing", "read_source"]


def read_source(path: Path, spec: DataSpec) -> Listing:
    """Read a folder or a table, whichever `path` is."""
    views = None if spec.views == "auto" else spec.views
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be opened: {error}") from None
    if not exists:
        raise DataError(f"{str(path)!r} does not exist; give a folder of class folders, or a CSV table")
    run = run_folder_of(path)
    if run is not None:
        return read_run_folder(run)
    if is_folder:
        if spec.layout == "table":
            raise DataError(f"{str(path)!r} is a folder, and data.layout is `table`; give the CSV file")
        return read_folders(path, layout=spec.layout, views=views)
    if path.suffix.lower() != ".csv":
        raise DataError(f"{str(path)!r} is a file; give a folder of class folders, or a table that ends in .csv")
    if spec.layout not in ("auto", "table"):
        raise DataError(f"{str(path)!r} is a table, and data.layout is `{spec.layout}`; give a folder")
    return read_table(path, views=views)
