"""Arrays and lists of predictions as files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.errors import DataError, OutputError
from obverse.files import read_json

GROUPS = "groups.json"
Float32Array = npt.NDArray[np.float32]


def create_folder(folder: Path) -> None:
    """Create a folder for output, or say in one sentence why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be created: {error.strerror}") from error


def read_values(path: Path) -> Any:
    """What `write_json` wrote; ValueError when it is no JSON."""
    try:
        return read_json(path)
    except DataError as error:
        raise ValueError(str(error)) from None


def read_array(path: Path) -> npt.NDArray[Any]:
    """`np.load`, which would leave a damaged file open."""
    with path.open("rb") as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def write_json(path: Path, value: object) -> None:
    """JSON with a final newline."""
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write_groups(folder: Path, groups: Sequence[str | None]) -> None:
    """The groups of all rows, where some sample has one."""
    if any(group is not None for group in groups):
        write_json(folder / GROUPS, list(groups))


def read_groups(folder: Path) -> tuple[str | None, ...]:
    """What `write_groups` wrote; nothing in a folder without it, as older ones are."""
    path = folder / GROUPS
    groups = read_values(path) if path.exists() else []
    if not isinstance(groups, list) or not all(group is None or isinstance(group, str) for group in groups):
        raise DataError(f"predictions cannot be used: {GROUPS} is not a list of names")
    return tuple(groups)


def write_arrays(path: Path, arrays: dict[str, Float32Array]) -> None:
    """What `np.savez` writes, but a view may be called `file`, and equal arrays give equal bytes (no clock)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def read_arrays(path: Path) -> dict[str, Float32Array]:
    """What `write_arrays` wrote."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as entry:
                arrays[name.removesuffix(".npy")] = np.lib.format.read_array(entry, allow_pickle=False)
    return arrays
