"""Predictions of a model on a split, in memory and on disk, for one class per sample and for label sets.

    FOLDER/
      predictions.npy         the answers; for other tools, since `read` computes them from the probabilities
      true_labels.npy         the truth
      probabilities.npy       float32 (N, K)
      uncalibrated.npy        the same before calibration; only where the model has one
      ids.json                [id, ...]        one per row
      outlier_scores.npy      float64 (N)      how unlike the training pictures; only where the model has a score
      groups.json             [group or null, ...]  one per row: samples of one group belong together; only with groups
      sets.npy                uint8 (N, K), 1 for each class of the prediction set; only where the model has them
      names.json              class names, split and kind of answer, see below; the rules of `sets.npy` under `sets`
      embeddings.npy          float32 (N, D)   only when there are any
      view_probabilities.npz  float32 (N, K) per view, seen alone; NaN rows where a sample lacks it; only with views
      view_grades.npz         the same by every view's own head; only where views have one

One class per sample: answers and truth are int64 (N), -1 where unknown, and names.json is {"classes": [...],
"ordered": false, "decode": "mode", "split": "test"}.

Label sets: answers and truth are uint8 (N, K), 1 where a sample has a class, and names.json is {"classes": [...],
"labels": "multi", "thresholds": [...], "split": "test"}.

names.json also has `acceptance` and `outliers` where the model has a rule for the decision on an answer.

`obverse.evaluation.report` writes the report of these predictions.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.decisions import (
    PLAIN,
    Decision,
    Kind,
    LabelSet,
    OneClass,
    PredictionSets,
    confidence_of,
    decide,
    to_answers,
)
from obverse.errors import DataError
from obverse.metrics import LabelSets, OneLabel, Units
from obverse.recipe import OutputSpec, SetsSpec
from obverse.staging import require_whole

from .arrays_on_disk import (
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

MULTI = "multi"
NO_RULE = OutputSpec()
OUT_OF_FOLD = "out-of-fold"
"""Split of pooled predictions, each by the model of the fold that left the sample out."""
OPTIONAL = (
    *("embeddings.npy", "view_probabilities.npz", "view_grades.npz", "uncalibrated.npy", "sets.npy", GROUPS),
    "outlier_scores.npy",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """Probabilities, answers and truth of a split; row i of every array belongs to `ids[i]`."""

    split: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]

    truth: npt.NDArray[Any]
    """Class indices, int64 (N), -1 where unknown; for label sets, which classes a sample has, bool (N, K)."""

    probabilities_NK: Float32Array

    kind: Kind = PLAIN
    """How answers are read from probabilities, and what the truth looks like."""

    uncalibrated_NK: Float32Array | None = None
    """Probabilities before calibration; None where the model has none."""

    embeddings_ND: Float32Array | None = None

    view_probabilities: dict[str, Float32Array] = field(default_factory=dict)
    """View -> probabilities (N, K) of the whole model given that view alone; NaN rows where a sample lacks the view."""

    view_grades: dict[str, Float32Array] = field(default_factory=dict)
    """View -> probabilities (N, K) of the view's own head; NaN rows where a sample lacks the view."""

    sets: PredictionSets | None = None
    """Prediction sets; None where the model has no rule of sets."""

    groups: tuple[str | None, ...] = ()
    """The group of each row, None for a sample without one; empty where no groups are known."""

    outlier_scores_N: npt.NDArray[np.float64] | None = None
    """How unlike the training pictures each sample is; None where the model has no score for it."""

    rule: OutputSpec = NO_RULE
    """Of the model's output spec, what was fitted for the decision on an answer: `acceptance` and `outliers`."""

    def __post_init__(self) -> None:
        rows, num_classes = len(self.ids), len(self.classes)
        _require(len(set(self.ids)) == rows, "an id occurs twice, so a sample would count twice")
        _require(num_classes > 0, "there are no classes")
        _require(len(self.groups) in (0, rows), f"{len(self.groups)} groups for {rows} samples")
        shape = self.kind.truth_shape(rows, num_classes)
        _require_array("labels", self.truth, dtype=self.kind.truth_dtype, shape=shape)
        self._require_fit()
        _require_array("probabilities", self.probabilities_NK, dtype=np.float32, shape=(rows, num_classes))
        _require(bool(np.isfinite(self.probabilities_NK).all()), "a probability is NaN or infinite")
        if self.uncalibrated_NK is not None:
            _require_array("uncalibrated", self.uncalibrated_NK, dtype=np.float32, shape=(rows, num_classes))
        if self.sets is not None:
            _require_array("sets", self.sets.within_NK, dtype=np.bool_, shape=(rows, num_classes))
        if self.outlier_scores_N is not None:
            _require_array("outlier scores", self.outlier_scores_N, dtype=np.float64, shape=(rows,))
        if self.embeddings_ND is not None:
            width = self.embeddings_ND.shape[-1:]
            _require_array("embeddings", self.embeddings_ND, dtype=np.float32, shape=(rows, *width))
        _require(self.view_grades.keys() <= self.view_probabilities.keys(), "a view has a grade, but none alone")
        for view, alone_NK in (*self.view_probabilities.items(), *self.view_grades.items()):
            _require_array(f"view {view!r}", alone_NK, dtype=np.float32, shape=(rows, num_classes))
            whole_N = np.isfinite(alone_NK).all(axis=1) | np.isnan(alone_NK).all(axis=1)
            _require(bool(whole_N.all()), f"view {view!r} has a row that is NaN in part")

    def _require_fit(self) -> None:
        """Raise DataError for labels out of range, or a wrong number of thresholds."""
        num_classes = len(self.classes)
        if isinstance(self.kind, LabelSet):
            num = len(self.kind.thresholds_of(num_classes))
            _require(num == num_classes, f"{num} thresholds for {num_classes} classes")
        else:
            _require(bool(((self.truth >= -1) & (self.truth < num_classes)).all()), "a label is not a class or -1")

    @cached_property
    def answers(self) -> npt.NDArray[Any]:
        """The answer of each row: a class index, int64 (N), or for label sets which classes, bool (N, K)."""
        return to_answers(self.probabilities_NK, self.kind)

    @cached_property
    def confidence_N(self) -> npt.NDArray[np.float64]:
        """The probability that each answer is right (N)."""
        return confidence_of(self.probabilities_NK, self.answers, self.kind)

    @property
    def decisions(self) -> list[Decision] | None:
        """What to do with each answer; None where nothing was fitted for it."""
        scores_N, is_set = self.outlier_scores_N, self.kind.is_set
        return decide(self.confidence_N, self.rule, outlier_scores_N=scores_N, is_set=is_set)

    @property
    def units(self) -> Units:
        """Sampling units: the groups, or single samples where no groups are known."""
        return Units.of_groups(self.groups) if self.groups else Units.alone(len(self.ids))

    @property
    def known_N(self) -> npt.NDArray[np.bool_]:
        """Whether each sample has a label (N)."""
        return self.kind.known(self.truth)

    def labelled(self) -> Predictions:
        """The predictions of the samples that have a label."""
        known_N = self.known_N
        return self if known_N.all() else self.take(known_N)

    @cached_property
    def outcome(self) -> OneLabel | LabelSets:
        """The input of metrics. Every sample must have a label (see `labelled`)."""
        return self.kind.outcome(self.truth, self.answers, self.probabilities_NK, self.units)

    @cached_property
    def is_right_N(self) -> npt.NDArray[np.bool_]:
        """Whether each answer is correct (N); for label sets, in every class."""
        same = self.answers == self.truth
        right_N: npt.NDArray[np.bool_] = same.all(axis=1) if same.ndim == 2 else same
        return right_N

    def view_answers(self, view: str) -> npt.NDArray[Any]:
        """The answers of the whole model given one view alone: -1, or no class, for a sample without that view."""
        return to_answers(self.view_probabilities[view], self.kind)

    @property
    def own_grades(self) -> dict[str, Float32Array]:
        """View -> probabilities from that view alone: of its own head, else of the whole model."""
        return self.view_grades or self.view_probabilities

    def take(self, rows: npt.NDArray[Any]) -> Predictions:
        """The predictions of some rows. rows: a boolean mask or row numbers."""
        return replace(
            self,
            ids=tuple(self.ids[row] for row in np.arange(len(self.ids))[rows]),
            groups=tuple(self.groups[row] for row in np.arange(len(self.groups))[rows]) if self.groups else (),
            truth=self.truth[rows],
            probabilities_NK=self.probabilities_NK[rows],
            uncalibrated_NK=None if self.uncalibrated_NK is None else self.uncalibrated_NK[rows],
            sets=None if self.sets is None else self.sets.take(rows),
            embeddings_ND=None if self.embeddings_ND is None else self.embeddings_ND[rows],
            outlier_scores_N=None if self.outlier_scores_N is None else self.outlier_scores_N[rows],
            view_probabilities={view: alone_NK[rows] for view, alone_NK in self.view_probabilities.items()},
            view_grades={view: grades_NK[rows] for view, grades_NK in self.view_grades.items()},
        )

    def write(self, folder: Path) -> None:
        """Write the files above. Optional files of an earlier write are removed, so that they are not read as these."""
        create_folder(folder)
        np.save(folder / "predictions.npy", _stored(self.answers))
        np.save(folder / "true_labels.npy", _stored(self.truth))
        np.save(folder / "probabilities.npy", self.probabilities_NK)
        write_json(folder / "ids.json", list(self.ids))
        names = {"classes": list(self.classes), **_kind_values(self.kind, len(self.classes)), "split": self.split}
        names |= _rule_values(self.rule)
        for optional in OPTIONAL:
            (folder / optional).unlink(missing_ok=True)
        if self.sets is not None:
            np.save(folder / "sets.npy", _stored(self.sets.within_NK))
            names["sets"] = [rule.model_dump(mode="json") for rule in self.sets.rules]
        write_json(folder / "names.json", names)
        write_groups(folder, self.groups)
        if self.uncalibrated_NK is not None:
            np.save(folder / "uncalibrated.npy", self.uncalibrated_NK)
        if self.outlier_scores_N is not None:
            np.save(folder / "outlier_scores.npy", self.outlier_scores_N)
        if self.embeddings_ND is not None:
            np.save(folder / "embeddings.npy", self.embeddings_ND)
        if self.view_probabilities:
            write_arrays(folder / "view_probabilities.npz", self.view_probabilities)
        if self.view_grades:
            write_arrays(folder / "view_grades.npz", self.view_grades)

    @classmethod
    def read(cls, folder: Path) -> Predictions:
        """The predictions in a folder. Raises DataError when a file is missing, damaged or of another length."""
        embeddings, views, grades, uncalibrated, *_, scores = (folder / name for name in OPTIONAL)
        require_whole(folder)
        try:
            names = read_values(folder / "names.json")
            kind, truth = _read_kind(names), read_array(folder / "true_labels.npy")
            return cls(
                split=names["split"],
                classes=tuple(names["classes"]),
                ids=tuple(read_values(folder / "ids.json")),
                truth=truth.astype(np.bool_) if kind.is_set else truth,
                probabilities_NK=read_array(folder / "probabilities.npy"),
                kind=kind,
                uncalibrated_NK=read_array(uncalibrated) if uncalibrated.exists() else None,
                sets=_read_sets(folder, names),
                embeddings_ND=read_array(embeddings) if embeddings.exists() else None,
                view_probabilities=read_arrays(views) if views.exists() else {},
                view_grades=read_arrays(grades) if grades.exists() else {},
                groups=read_groups(folder),
                outlier_scores_N=read_array(scores) if scores.exists() else None,
                rule=_read_rule(names),
            )
        except DataError as error:
            raise DataError(f"{folder}: {error}") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            problem = f"{folder} holds no complete predictions ({error}); run `obverse evaluate` again"
            raise DataError(problem) from error


def _read_sets(folder: Path, names: dict[str, Any]) -> PredictionSets | None:
    if "sets" not in names:
        return None
    rules = tuple(SetsSpec.model_validate_json(json.dumps(rule)) for rule in names["sets"])
    return PredictionSets(read_array(folder / "sets.npy").astype(np.bool_), rules)


def _stored(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array as it is stored: booleans as uint8."""
    return array.astype(np.uint8) if array.dtype == np.bool_ else array


def _kind_values(kind: Kind, num_classes: int) -> dict[str, Any]:
    """The entries of names.json for a kind of answer."""
    if isinstance(kind, LabelSet):
        return {"labels": MULTI, "thresholds": list(kind.thresholds_of(num_classes))}
    return {"ordered": kind.ordered, "decode": kind.decode}


def _read_kind(names: dict[str, Any]) -> Kind:
    if names.get("labels") == MULTI:
        return LabelSet(tuple(names["thresholds"]))
    return OneClass(names["decode"], names["ordered"])


def _rule_values(rule: OutputSpec) -> dict[str, Any]:
    """The entries of names.json for the decision on an answer; empty where nothing was fitted for it."""
    fitted = {"acceptance": rule.acceptance, "outliers": rule.outliers}
    return {name: spec.model_dump(mode="json") for name, spec in fitted.items() if spec is not None}


def _read_rule(names: dict[str, Any]) -> OutputSpec:
    fitted = {name: names[name] for name in ("acceptance", "outliers") if name in names}
    return OutputSpec.model_validate_json(json.dumps(fitted))


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise DataError(f"predictions cannot be used: {problem}")


def _require_array(name: str, array: npt.NDArray[Any], *, dtype: type, shape: tuple[int, ...]) -> None:
    _require(
        array.dtype == dtype and array.shape == shape,
        f"{name} must be {np.dtype(dtype)} {shape}, not {array.dtype} {array.shape}",
    )
