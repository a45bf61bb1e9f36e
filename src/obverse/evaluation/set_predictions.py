"""What a model said about a split of multi-label data, as arrays in one row order, in memory and on disk.

    FOLDER/
      predictions.npy         uint8   (N, K)   1 where a class is said; written for other tools, computed on reading
      true_labels.npy         uint8   (N, K)   1 where a sample has a class
      probabilities.npy       float32 (N, K)   of each class by itself
      ids.json                [id, ...]        one per row
      groups.json             [group or null, ...]  one per row: samples of one group belong together; only with groups
      names.json              {"classes": [...], "labels": "multi", "thresholds": [...], "split": "test"}
      embeddings.npy          float32 (N, D)   only when there are any
      view_probabilities.npz  float32 (N, K) per view, seen alone; NaN rows where a sample lacks it; only with views

Not a report: `obverse.evaluation.set_report` turns this into one. Of one label per sample: `predictions.py`.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.errors import DataError
from obverse.metrics import Units
from obverse.staging import require_whole

from .predictions import (
    GROUPS,
    Float32Array,
    create_folder,
    read_array,
    read_arrays,
    read_groups,
    read_values,
    write_arrays,
    write_groups,
    write_json,
)

BoolArray = npt.NDArray[np.bool_]
MULTI = "multi"


@dataclass(frozen=True, eq=False, kw_only=True)
class SetPredictions:
    """Row i of every array belongs to `ids[i]`. thresholds: the probability from which a class is said; None: 1/2.

    groups: of each row, None where a sample has none; empty where no group is known.
    """

    split: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    label_sets_NK: BoolArray
    probabilities_NK: Float32Array
    thresholds: tuple[float, ...] | None = None
    embeddings_ND: Float32Array | None = None
    view_probabilities: dict[str, Float32Array] = field(default_factory=dict)
    groups: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.ids), len(self.classes))
        of_views = {f"view {view!r}": alone_NK for view, alone_NK in self.view_probabilities.items()}
        for name, array in {"labels": self.label_sets_NK, "probabilities": self.probabilities_NK, **of_views}.items():
            if array.shape != shape:
                raise DataError(f"predictions cannot be used: {name} must be {shape}, not {array.shape}")
        if len(set(self.ids)) < len(self.ids):
            raise DataError("predictions cannot be used: an id occurs twice, so a sample would count twice")
        if not np.isfinite(self.probabilities_NK).all():
            raise DataError("predictions cannot be used: a probability is NaN or infinite")
        if len(self.groups) not in (0, len(self.ids)):
            raise DataError(f"predictions cannot be used: {len(self.groups)} groups for {len(self.ids)} samples")
        if self.thresholds is not None and len(self.thresholds) != len(self.classes):
            raise DataError(f"predictions cannot be used: {len(self.thresholds)} thresholds for {shape[1]} classes")

    @property
    def thresholds_K(self) -> npt.NDArray[np.float64]:
        """In class order."""
        return np.full(len(self.classes), 0.5) if self.thresholds is None else np.array(self.thresholds)

    @property
    def units(self) -> Units:
        """Which samples were drawn together."""
        return Units.of_groups(self.groups) if self.groups else Units.alone(len(self.ids))

    @property
    def answers_NK(self) -> BoolArray:
        """Which classes are said."""
        return self.said(self.probabilities_NK)

    def said(self, probabilities_NK: npt.NDArray[Any]) -> BoolArray:
        """The answers to other probabilities of the same classes; none in a row of NaN."""
        answers_NK: BoolArray = probabilities_NK.astype(np.float64) >= self.thresholds_K
        return answers_NK

    def write(self, folder: Path) -> None:
        """Write the files above; optional ones of an earlier write do not stay behind to be read as ours."""
        create_folder(folder)
        np.save(folder / "predictions.npy", self.answers_NK.astype(np.uint8))
        np.save(folder / "true_labels.npy", self.label_sets_NK.astype(np.uint8))
        np.save(folder / "probabilities.npy", self.probabilities_NK)
        write_json(folder / "ids.json", list(self.ids))
        thresholds = self.thresholds_K.tolist()
        names = {"classes": list(self.classes), "labels": MULTI, "thresholds": thresholds, "split": self.split}
        write_json(folder / "names.json", names)
        for optional in ("embeddings.npy", "view_probabilities.npz", GROUPS):
            (folder / optional).unlink(missing_ok=True)
        write_groups(folder, self.groups)
        if self.embeddings_ND is not None:
            np.save(folder / "embeddings.npy", self.embeddings_ND)
        if self.view_probabilities:
            write_arrays(folder / "view_probabilities.npz", self.view_probabilities)

    @classmethod
    def read(cls, folder: Path) -> SetPredictions:
        """Read what `write` wrote; a file that is missing, damaged or of another length is named."""
        try:
            require_whole(folder)
            names = read_values(folder / "names.json")
            embeddings, views = folder / "embeddings.npy", folder / "view_probabilities.npz"
            return cls(
                split=names["split"],
                classes=tuple(names["classes"]),
                ids=tuple(read_values(folder / "ids.json")),
                label_sets_NK=read_array(folder / "true_labels.npy").astype(np.bool_),
                probabilities_NK=read_array(folder / "probabilities.npy"),
                thresholds=tuple(names["thresholds"]),
                embeddings_ND=read_array(embeddings) if embeddings.exists() else None,
                view_probabilities=read_arrays(views) if views.exists() else {},
                groups=read_groups(folder),
            )
        except DataError as error:
            raise DataError(f"{folder}: {error}") from error
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            problem = f"{folder} holds no complete multi-label predictions ({error}); run `obverse evaluate` again"
            raise DataError(problem) from error
