"""k-fold training: one run per fold, and every sample predicted by the model that was not trained on it.

    OUT/fold-0/ ...                 run folders; the same command again resumes what is not finished
    OUT/evaluation/out-of-fold/     all folds' val predictions as one report
    OUT/evaluation/test/            where there is a test split: the mean of the folds' probabilities

Out-of-fold metrics are slightly optimistic, because a fold's val samples also chose the best epoch of its model; the
report says so. By default there is no test split, so that every sample is predicted.

Multi-label data: each fold tuned its thresholds on the samples that are pooled, and macro F1 at those thresholds would
be much too high. So pooled answers are read at the mean of the folds' thresholds.

AUROC and mAP are computed from the pooled probabilities, because a mean over folds is too high where a class has few
samples in each fold. The pooled values are slightly too low where the folds' models are not equally sure, so the report
also shows each fold's own mAP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from obverse.decisions import Kind, LabelSet, PredictionSets
from obverse.errors import BusyError, DataError, RefusedError
from obverse.evaluation import OUT_OF_FOLD, Float32Array, Predictions, Seen, require_same_samples
from obverse.experiment import Progress, read_story, run_recipe
from obverse.files import read_json_object
from obverse.manifest import read_manifest
from obverse.recipe import Recipe, SplitSpec
from obverse.runs import Message, RunFolder

from .many import MakeObservers, require_same_study, train_to_end
from .pooled_report import write_pooled

KIND = (
    "each sample is predicted by the model that never trained on it; as that sample helped to choose the model's best "
    "epoch, the numbers are a little kind"
)
OF_ALL = ("data", "views", "input", "model", "trained", "licence of the weights", "parameters", "loss", "precision",
          "recipe")  # fmt: skip
"""Facts that folds have in common and that are not about one training."""
THRESHOLDS = "for each class the mean of those that the folds have chosen on their val"


@dataclass(frozen=True)
class Folded:
    """The pooled result of all folds."""

    folder: Path

    metrics: dict[str, dict[str, Any]]
    """Evaluation (`out-of-fold`, and `test` where there is one) -> metrics."""


def fold_recipe(recipe: Recipe, folds: int, fold: int) -> Recipe:
    """The recipe of one fold. Its test share is the recipe's where it sets one, else 0."""
    split = recipe.data.split
    given = {name: getattr(split, name) for name in split.model_fields_set - {"train", "val", "folds", "fold"}}
    spec = SplitSpec(**{"test": 0.0, **given, "folds": folds, "fold": fold})
    return recipe.changed({"data.split": spec})


def run_folds(
    data: Path,
    recipe: Recipe,
    out: Path,
    *,
    folds: int,
    make_observers: MakeObservers = tuple,
    progress: Progress | None = None,
) -> Folded:
    """The pooled result, after training every fold that is not finished.

    Raises BusyError while another process trains a fold, and the fold's own kind of error when one fails.
    """
    require_same_study(out, fold_recipe(recipe, folds, 0), data)
    paths = [out / f"fold-{fold}" for fold in range(folds)]
    num_busy = 0
    for fold, path in enumerate(paths):
        observers = make_observers()
        for observer in observers:
            observer.notify(Message(f"fold {fold + 1} of {folds}"))
        outcome = train_to_end(data, fold_recipe(recipe, folds, fold), path, observers=observers, progress=progress)
        if outcome.state == "failed":
            message = f"fold {fold + 1} of {folds} failed, so that not every sample can be predicted: {outcome.reason}"
            raise (outcome.error or RefusedError)(f"{message}. Mend that and remove {str(path)!r}")
        num_busy += outcome.state == "busy"
    if num_busy:
        raise BusyError(
            f"{num_busy} of {folds} folds are trained by other processes; the same command later pools them"
        )
    return pool(out, paths)


def pool(out: Path, paths: Sequence[Path]) -> Folded:
    """The evaluation of the folds' joined predictions, written under `out`.

    Raises DataError unless every sample outside test is predicted exactly once.
    """
    runs = [RunFolder(path) for path in paths]
    parts = [Predictions.read(run.evaluation("val")) for run in runs]
    pooled = _joined(parts)
    _require_all(runs[0], pooled)
    seen = pooled_seen(pooled, run_recipe(runs[0]))
    report, shared = partial(_report, out, runs), shared_facts([read_story(run).facts for run in runs])
    shared = {name: value for name, value in shared.items() if name in OF_ALL}
    held = shared | {"samples": f"{len(pooled.ids):,} in {len(runs)} folds"}
    metrics = {OUT_OF_FOLD: report(pooled, held | pooled_facts(runs, pooled), seen)}
    if all(run.evaluation("test").is_dir() for run in runs):
        mean = mean_predictions([Predictions.read(run.evaluation("test")) for run in runs])
        facts = held | {
            "folds": str(len(runs)),
            "answers": f"probabilities averaged over the models of {len(runs)} folds",
        }
        facts |= {"thresholds": THRESHOLDS} if mean.kind.is_set else {}
        facts |= {"calibration": calibration_of(runs)}
        metrics["test"] = report(mean, facts, Seen())
    return Folded(out, metrics)


def shared_facts(of_runs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The facts that are the same for all runs."""
    first, *others = of_runs
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def pooled_facts(runs: Sequence[RunFolder], pooled: Predictions) -> dict[str, str]:
    """Facts about the folds' models: name -> value, as the report shows them."""
    facts = {"folds": str(len(runs)), "what": KIND}
    if pooled.kind.is_set:
        facts |= {"thresholds": THRESHOLDS, "mAP of each fold": _of_each(runs, "map")}
    return facts | {"calibration": calibration_of(runs)}


def calibration_of(runs: Sequence[RunFolder]) -> str:
    """The calibration of each fold's model, as text."""
    known = [read_story(run).facts.get("calibration", "not known") for run in runs]
    return "; ".join(f"fold {fold + 1}: {words}" for fold, words in enumerate(known))


def pooled_seen(pooled: Predictions, recipe: Recipe) -> Seen:
    """What was chosen on the samples that the folds pool: by the folds, and before them. recipe: that of the folds."""
    chosen = ["the best epoch of each fold"]
    chosen += ["each fold's calibration"] * (pooled.uncalibrated_NK is not None)
    chosen += ["each fold's rule of sets"] * (pooled.sets is not None)
    chosen += ["each fold's thresholds"] * pooled.kind.is_set
    return Seen(chosen=(*chosen, *recipe.evaluation.val_chose))


def _report(
    out: Path, runs: Sequence[RunFolder], predictions: Predictions, facts: dict[str, str], seen: Seen
) -> dict[str, Any]:
    folder = out / "evaluation" / predictions.split
    return write_pooled(folder, predictions, runs, facts=facts, seen=seen).as_json()


def mean_predictions(runs: Sequence[Predictions]) -> Predictions:
    """The mean of several models' probabilities on the same samples, each after its own calibration.

    The probabilities before calibration are averaged alike, where any of the models has a calibration.
    """
    aligned = _aligned(runs)
    before = [
        run if run.uncalibrated_NK is None else replace(run, probabilities_NK=run.uncalibrated_NK) for run in runs
    ]
    is_calibrated = any(run.uncalibrated_NK is not None for run in runs)
    return replace(
        runs[0],
        probabilities_NK=_mean(aligned),
        kind=_common_kind(aligned),
        uncalibrated_NK=_mean(_aligned(before)) if is_calibrated else None,
        sets=None,
        embeddings_ND=None,
        view_probabilities={},
        view_grades={},
    )


def _aligned(runs: Sequence[Predictions]) -> list[Predictions]:
    """The predictions with the samples and classes in the order of the first."""
    return [require_same_samples(runs[0], run, ("the first fold", "another")) for run in runs]


def _mean(runs: Sequence[Predictions]) -> Float32Array:
    """The mean of aligned probabilities."""
    mean_NK: Float32Array = np.mean([run.probabilities_NK.astype(np.float64) for run in runs], axis=0).astype(
        np.float32
    )
    return mean_NK


def _common_kind(parts: Sequence[Predictions]) -> Kind:
    """The kind of the first part; for label sets, with the mean of all parts' thresholds.

    All parts must have their classes in the same order.
    """
    thresholds = [p.kind.thresholds_of(len(p.classes)) for p in parts if isinstance(p.kind, LabelSet)]
    return LabelSet(tuple(np.mean(thresholds, axis=0).tolist())) if thresholds else parts[0].kind


def _of_each(runs: Sequence[RunFolder], metric: str) -> str:
    """A metric on each fold's val and the mean over folds, as text."""
    known = [read_json_object(run.evaluation("val") / "metrics.json").get(metric) for run in runs]
    values = [estimate["value"] for estimate in known if estimate]
    mean = f", mean {sum(values) / len(values):.3f}" if values else ""
    return ", ".join(f"{estimate['value']:.3f}" if estimate else "not defined" for estimate in known) + mean


def _joined(parts: Sequence[Predictions]) -> Predictions:
    first = parts[0]
    if any(part.classes != first.classes for part in parts):
        raise DataError("the folds know different classes; a class may be too small for so many folds")

    def joined(alone: Sequence[dict[str, Float32Array]]) -> dict[str, Float32Array]:
        return {view: np.concatenate([of_part[view] for of_part in alone]) for view in alone[0]}

    return Predictions(
        split=OUT_OF_FOLD,
        classes=first.classes,
        ids=tuple(name for part in parts for name in part.ids),
        truth=np.concatenate([part.truth for part in parts]),
        probabilities_NK=np.concatenate([part.probabilities_NK for part in parts]),
        view_probabilities=joined([part.view_probabilities for part in parts]),
        view_grades=joined([part.view_grades for part in parts]),
        kind=_common_kind(parts),
        uncalibrated_NK=_joined_uncalibrated(parts),
        sets=PredictionSets.joined([part.sets for part in parts]),
        groups=tuple(group for part in parts for group in _groups(part)) if any(part.groups for part in parts) else (),
    )


def _joined_uncalibrated(parts: Sequence[Predictions]) -> Float32Array | None:
    """Probabilities before calibration of all rows; None where no fold has a calibration."""
    if all(part.uncalibrated_NK is None for part in parts):
        return None
    return np.concatenate([p.probabilities_NK if p.uncalibrated_NK is None else p.uncalibrated_NK for p in parts])


def _groups(part: Predictions) -> tuple[str | None, ...]:
    """The group of each row; None for every row of a fold without groups.

    A split never divides a group between folds, so equal names in different folds are the same group.
    """
    return part.groups or (None,) * len(part.ids)


def _require_all(run: RunFolder, pooled: Predictions) -> None:
    """Raise DataError unless the pooled predictions have every sample outside test exactly once."""
    recipe = run_recipe(run)
    assert isinstance(recipe.data.views, tuple)
    manifest = read_manifest(
        run.manifest,
        root=Path(),
        classes=pooled.classes,
        views=recipe.data.views,
        ordered=pooled.kind.ordered,
        multi_label=pooled.kind.is_set,
    )
    wanted = {
        sample for sample, split in zip(manifest.samples.ids, manifest.samples.splits, strict=True) if split != "test"
    }
    odd = sorted(wanted ^ set(pooled.ids))
    if odd:
        raise DataError(f"{len(odd)} samples are not predicted exactly once, for example {odd[0]!r}: the data has "
                        "changed between folds; train them again")  # fmt: skip
