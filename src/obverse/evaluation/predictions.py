"""What a model said about a split, as arrays in one row order, in memory and on disk.

    FOLDER/
      predictions.npy         int64   (N,)     the answer; written for other tools, computed again on reading
      true_labels.npy         int64   (N,)     -1 where unknown
      probabilities.npy       float32 (N, K)
      ids.json                [id, ...]        one per row
      groups.json             [group or null, ...]  one per row: samples of one group belong together; only with groups
      names.json              {"classes": [...], "ordered": false, "decode": "mode", "split": "test"}
      embeddings.npy          float32 (N, D)   only when there are any
      view_probabilities.npz  float32 (N, K) per view, seen alone; NaN rows where a sample lacks it; only with views
      view_grades.npz         the same by every view's own head; only where views have one

Not a report: `obverse.evaluation.report` turns this into one.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.decisions import decide_array
from obverse.errors import DataError, OutputError
from obverse.files import read_json
from obverse.metrics import Units
from obverse.recipe import Decode
from obverse.staging import require_whole

GROUPS = "groups.json"
IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """Row i of every array belongs to `ids[i]`. `ordered` says that `classes` stand in grade order.

    decode: how the answer is read from probabilities (`decoding.decide`). groups: of each row, None where a sample has
    none; empty where no group is known.
    """

    split: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels_N: IntArray
    probabilities_NK: Float32Array
    embeddings_ND: Float32Array | None = None
    view_probabilities: dict[str, Float32Array] = field(default_factory=dict)
    view_grades: dict[str, Float32Array] = field(default_factory=dict)
    ordered: bool = False
    decode: Decode = "mode"
    groups: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        rows, num_classes = len(self.ids), len(self.classes)
        _require(len(set(self.ids)) == rows, "an id occurs twice, so a sample would count twice")
        _require(num_classes > 0, "there are no classes")
        _require(len(self.groups) in (0, rows), f"{len(self.groups)} groups for {rows} samples")
        _require_array("labels", self.labels_N, dtype=np.int64, shape=(rows,))
        _require(bool(((self.labels_N >= -1) & (self.labels_N < num_classes)).all()), "a label is not a class or -1")
        _require_array("probabilities", self.probabilities_NK, dtype=np.float32, shape=(rows, num_classes))
        _require(bool(np.isfinite(self.probabilities_NK).all()), "a probability is NaN or infinite")
        if self.embeddings_ND is not None:
            width = self.embeddings_ND.shape[-1:]
            _require_array("embeddings", self.embeddings_ND, dtype=np.float32, shape=(rows, *width))
        _require(self.view_grades.keys() <= self.view_probabilities.keys(), "a view has a grade, but none alone")
        for view, alone_NK in (*self.view_probabilities.items(), *self.view_grades.items()):
            _require_array(f"view {view!r}", alone_NK, dtype=np.float32, shape=(rows, num_classes))
            whole_N = np.isfinite(alone_NK).all(axis=1) | np.isnan(alone_NK).all(axis=1)
            _require(bool(whole_N.all()), f"view {view!r} has a row that is NaN in part")

    @property
    def predictions_N(self) -> IntArray:
        """The answer per sample."""
        return decide_array(self.probabilities_NK, self.decode)

    @property
    def units(self) -> Units:
        """Which samples were drawn together."""
        return Units.of_groups(self.groups) if self.groups else Units.alone(len(self.ids))

    def view_predictions(self, view: str) -> IntArray:
        """The class that one view alone gives; -1 for a sample without that view."""
        return decide_array(self.view_probabilities[view], self.decode)

    @property
    def own_grades(self) -> dict[str, Float32Array]:
        """What each view says for itself: by its own head, or else by the whole model when it sees that view alone."""
        return self.view_grades or self.view_probabilities

    @property
    def own_grades_VN(self) -> IntArray:
        """The class by `own_grades` for every view; -1 for a sample without that view."""
        return np.stack([decide_array(rows_NK, self.decode) for rows_NK in self.own_grades.values()])

    def take(self, rows: npt.NDArray[Any]) -> Predictions:
        """The given rows only: a mask or row numbers."""
        return replace(
            self,
            ids=tuple(self.ids[row] for row in np.arange(len(self.ids))[rows]),
            groups=tuple(self.groups[row] for row in np.arange(len(self.groups))[rows]) if self.groups else (),
            labels_N=self.labels_N[rows],
            probabilities_NK=self.probabilities_NK[rows],
            embeddings_ND=None if self.embeddings_ND is None else self.embeddings_ND[rows],
            view_probabilities={view: alone_NK[rows] for view, alone_NK in self.view_probabilities.items()},
            view_grades={view: grades_NK[rows] for view, grades_NK in self.view_grades.items()},
        )

    def write(self, folder: Path) -> None:
        """Write the files above; optional ones of an earlier write do not stay behind to be read as ours."""
        create_folder(folder)
        np.save(folder / "predictions.npy", self.predictions_N)
        np.save(folder / "true_labels.npy", self.labels_N)
        np.save(folder / "probabilities.npy", self.probabilities_NK)
        write_json(folder / "ids.json", list(self.ids))
        names = {"classes": list(self.classes), "ordered": self.ordered, "decode": self.decode, "split": self.split}
        write_json(folder / "names.json", names)
        for optional in ("embeddings.npy", "view_probabilities.npz", "view_grades.npz", GROUPS):
            (folder / optional).unlink(missing_ok=True)
        write_groups(folder, self.groups)
        if self.embeddings_ND is not None:
            np.save(folder / "embeddings.npy", self.embeddings_ND)
        if self.view_probabilities:
            write_arrays(folder / "view_probabilities.npz", self.view_probabilities)
        if self.view_grades:
            write_arrays(folder / "view_grades.npz", self.view_grades)

    @classmethod
    def read(cls, folder: Path) -> Predictions:
        """Read what `write` wrote; a file that is missing, damaged or of another length is named."""
        try:
            require_whole(folder)
            names = read_values(folder / "names.json")
            _require(
                names.get("labels") != "multi", "they are of multi-label data, and this is for one class per sample"
            )
            embeddings, views = folder / "embeddings.npy", folder / "view_probabilities.npz"
            grades = folder / "view_grades.npz"
            return cls(
                split=names["split"],
                classes=tuple(names["classes"]),
                ids=tuple(read_values(folder / "ids.json")),
                labels_N=read_array(folder / "true_labels.npy"),
                probabilities_NK=read_array(folder / "probabilities.npy"),
                embeddings_ND=read_array(embeddings) if embeddings.exists() else None,
                view_probabilities=read_arrays(views) if views.exists() else {},
                view_grades=read_arrays(grades) if grades.exists() else {},
                ordered=names["ordered"],
                decode=names["decode"],
                groups=read_groups(folder),
            )
        except DataError as error:
            raise DataError(f"{folder}: {error}") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            problem = f"{folder} holds no complete predictions ({error}); run `obverse evaluate` again"
            raise DataError(problem) from error


def create_folder(folder: Path) -> None:
    """Create a folder for output, or say in one sentence why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be created: {error.strerror}") from error


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise DataError(f"predictions cannot be used: {problem}")


def _require_array(name: str, array: npt.NDArray[Any], *, dtype: type, shape: tuple[int, ...]) -> None:
    _require(
        array.dtype == dtype and array.shape == shape,
        f"{name} must be {np.dtype(dtype)} {shape}, not {array.dtype} {array.shape}",
    )


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
    _require(
        isinstance(groups, list) and all(group is None or isinstance(group, str) for group in groups),
        f"{GROUPS} is not a list of names",
    )
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
