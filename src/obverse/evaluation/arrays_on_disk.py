"""Reading and writing of prediction arrays, groups and JSON."""

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
    """Create an output folder. Raises OutputError when it cannot be created."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be created: {error.strerror}") from error


def read_values(path: Path) -> Any:
    """The value in a JSON file. Raises ValueError when the file is not valid JSON."""
    try:
        return read_json(path)
    except DataError as error:
        raise ValueError(str(error)) from None


def read_array(path: Path) -> npt.NDArray[Any]:
    """The array in an .npy file. Not `np.load`, which leaves a damaged file open."""
    with path.open("rb") as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON with a final newline."""
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write_groups(folder: Path, groups: Sequence[str | None]) -> None:
    """Write the group of every row; no file when no sample has a group."""
    if any(group is not None for group in groups):
        write_json(folder / GROUPS, list(groups))


def read_groups(folder: Path) -> tuple[str | None, ...]:
    """The group of every row; empty in a folder without groups. Raises DataError when the file is damaged."""
    path = folder / GROUPS
    groups = read_values(path) if path.exists() else []
    if not isinstance(groups, list) or not all(group is None or isinstance(group, str) for group in groups):
        raise DataError(f"predictions cannot be used: {GROUPS} is not a list of names")
    return tuple(groups)


def write_arrays(path: Path, arrays: dict[str, Float32Array]) -> None:
    """Write arrays in the format of `np.savez`.

    Unlike `np.savez`, a view may be called `file`, and equal arrays give equal bytes, because no time is stored.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def read_arrays(path: Path) -> dict[str, Float32Array]:
    """The arrays in an .npz file, by name."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as entry:
                arrays[name.removesuffix(".npy")] = np.lib.format.read_array(entry, allow_pickle=False)
    return arrays
