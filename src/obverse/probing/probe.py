"""Comparison of pretrained backbones by cheap heads on their frozen features, cross-validated inside train and val."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from obverse import metrics
from obverse.bundle import Bundle
from obverse.errors import DataError, ObverseError, RecipeError, UnavailableError
from obverse.evaluation import differences
from obverse.experiment import Machine, describe, prepare_process, require_trainable, resolve
from obverse.manifest import Index, Manifest, Samples, build_index, fold_of_each
from obverse.recipe import Recipe, ResolvedRecipe, Size, SplitSpec
from obverse.runtime import cache_folder

from .candidates import Candidate
from .features import Features, frozen_features
from .measure import Measured, Task, best_first, measure_chance, measure_heads
from .result import Probe, Row
from .views import are_parts, as_trained

MOST_SAMPLES = 3000
"""Samples to compare on: enough for an interval of about two points of accuracy, and features fit into memory."""

FEW_SAMPLES = 500
"""Samples up to which the division into folds is repeated, because it is a large part of the noise."""

VERY_FEW_SAMPLES = 200
"""The same for a brief comparison."""

REPETITIONS = 3

NUM_RESAMPLES = 500

Progress = Callable[[int, int], None]


class Watching(Protocol):
    """Functions that are called while the comparison runs."""

    @property
    def reading(self) -> Progress:
        """Called with (done, total) while pictures are verified."""

    @property
    def computing(self) -> Progress:
        """Called with (done, total) while features are computed."""

    @property
    def notify(self) -> Callable[[str], None]:
        """Called with messages."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is compared, and how thoroughly."""

    sizes: tuple[Size | None, ...] = (None,)
    """Input sizes; None is that of the weights."""

    folds: int = 5

    most_samples: int = MOST_SAMPLES
    """Samples to compare on; of larger data a stratified part is taken."""

    is_brief: bool = False
    """Whether only the first head is measured, on all views together."""

    arguments: tuple[str, ...] = ()
    """Further options with which the winner is trained, such as those on how the data is read."""


def probe(
    data: Path,
    recipe: Recipe,
    candidates: Sequence[Candidate],
    plan: Plan,
    *,
    watching: Watching,
) -> Probe:
    """The candidates, each with its heads measured by cross-validation, the best first.

    Raises DataError for fewer groups of samples than folds, and the first candidate's error when none can be used.
    """
    start = time.perf_counter()
    index = build_index(data, recipe.data, watching.reading)
    bench = Bench(recipe, index, plan, watching)
    rows: list[tuple[Row, Measured]] = []
    for candidate, size in [(candidate, size) for candidate in candidates for size in plan.sizes]:
        rows += bench.measured(candidate, size)
    if not rows:
        raise bench.errors[0]
    notes = [f"measured on {bench.part}; --samples takes more"] if bench.part else []
    if index.manifest.columns:
        names = ", ".join(column.name for column in index.manifest.columns)
        notes.append(f"pictures only: training also uses the columns {names}, and the heads here do not")
    seconds = time.perf_counter() - start
    ranked = _ranked(data, bench.task, rows, (*notes, *bench.left_out), seconds=seconds)
    if are_parts(recipe.data) and ranked.best.views in index.manifest.views:
        note = f"a part of a picture is not trained alone: the command trains {', '.join(index.manifest.views)}"
        return replace(ranked, notes=(*ranked.notes, note))
    return ranked


class Bench:
    """Measurement of candidates on the same samples in the same folds.

    DataError for fewer groups of samples than folds.
    """

    def __init__(self, recipe: Recipe, index: Index, plan: Plan, watching: Watching) -> None:
        self._recipe, self._index, self._plan, self._watching = recipe, index, plan, watching
        self._machine = Machine.here(recipe.runtime)
        self.errors: list[ObverseError] = []
        """Why candidates could not be used."""
        self.left_out: list[str] = []
        """The same as messages."""
        split, manifest = recipe.data.split, index.manifest
        self._pool, num_all = _pool(manifest, split, plan)
        self.part = f"{len(self._pool):,} of {num_all:,} samples of train and val" if len(self._pool) < num_all else ""
        """The part of the samples that is measured on; empty for all."""
        self._folds_RN = _divisions(self._pool, split, plan, multi_label=manifest.multi_label)
        self._task: Task | None = None

    @property
    def task(self) -> Task:
        """The samples and how answers are judged, known once a candidate has been measured."""
        assert self._task is not None
        return self._task

    def measured(self, candidate: Candidate, size: Size | None) -> list[tuple[Row, Measured]]:
        """The rows of a candidate at a size (None: that of its weights); none when it cannot be used."""
        manifest = self._index.manifest
        try:
            resolved = resolve(_with(self._recipe, candidate, size), self._index, self._machine).recipe
            require_trainable(resolved, manifest)
            bundle = describe(resolved, manifest)
            self._task = self._task or _task(resolved, bundle, manifest, self._pool, self._folds_RN)
            named = _to_train(candidate, size, self._plan)
            return list(_measure(named, resolved, bundle, self._task, self._plan, self._watching))
        except (DataError, RecipeError, UnavailableError) as error:
            self.errors.append(error)
            self.left_out.append(f"{candidate.name} is left out: {error}")
            return []


def _with(recipe: Recipe, candidate: Candidate, size: Size | None) -> Recipe:
    """The recipe that trains a candidate at a size."""
    changes: dict[str, object] = {"model.backbone": candidate.backbone}
    return recipe.changed(changes if size is None else {**changes, "data.size": size})


def _to_train(candidate: Candidate, size: Size | None, plan: Plan) -> Candidate:
    """The candidate with all options by which it is trained as it is compared."""
    sized = ("--size", _short(size)) if size is not None else ()
    return replace(candidate, arguments=(*candidate.arguments, *sized, *plan.arguments))


def _short(size: Size) -> str:
    """The size as `--size` takes it."""
    return f"{size.width}" if size.width == size.height else f"{size.width}x{size.height}"


def _pool(manifest: Manifest, split: SplitSpec, plan: Plan) -> tuple[Samples, int]:
    """The samples of train and val, or a stratified part of them; and the number of all."""
    pool = manifest.samples.where(name in ("train", "val") for name in manifest.samples.splits)
    num_parts = -(-len(pool) // plan.most_samples)
    if num_parts < 2:
        return pool, len(pool)
    part_of_each = fold_of_each(pool, split, num_parts, multi_label=manifest.multi_label)
    return pool.where(part == 0 for part in part_of_each), len(pool)


def _divisions(pool: Samples, split: SplitSpec, plan: Plan, *, multi_label: bool) -> torch.Tensor:
    """Fold of each sample in each repetition (R, N). Classes are stratified, and groups are not divided."""
    few = VERY_FEW_SAMPLES if plan.is_brief else FEW_SAMPLES
    repetitions = REPETITIONS if len(pool) <= few else 1
    spec = split.changed({"strategy": "stratified"})
    try:
        return torch.tensor([
            fold_of_each(pool, spec.changed({"seed": split.seed + r}), plan.folds, multi_label=multi_label)
            for r in range(repetitions)
        ])  # fmt: skip
    except DataError:
        raise DataError(f"train and val have fewer groups of samples than the {plan.folds} folds; give more pictures, "
                        "or fewer folds with --folds") from None  # fmt: skip


def _task(recipe: ResolvedRecipe, bundle: Bundle, manifest: Manifest, pool: Samples, folds_RN: torch.Tensor) -> Task:
    select = metrics.metric_of(recipe.training.select, label_sets=manifest.multi_label)
    return Task(manifest, pool, bundle.kind, select, folds_RN)


def _measure(
    candidate: Candidate, recipe: ResolvedRecipe, bundle: Bundle, task: Task, plan: Plan, watching: Watching
) -> Iterator[tuple[Row, Measured]]:
    """All heads of a candidate at one size."""
    start = time.perf_counter()
    device = prepare_process(recipe)
    size = _short(recipe.data.size)
    watching.notify(f"{candidate.name} at {size}: features of {len(task.samples):,} samples")
    features = frozen_features(
        bundle,
        task.manifest,
        task.samples,
        device=device,
        root=cache_folder(),
        num_workers=recipe.runtime.num_workers,
        progress=watching.computing,
    )
    if features.complaint:
        watching.notify(features.complaint)
    features.require_finite(candidate.name)
    seconds = time.perf_counter() - start
    for measured in measure_heads(task, features, is_brief=plan.is_brief):
        row = _row(candidate, size, features, task, measured, seconds + measured.seconds)
        use = as_trained(measured.views, recipe.data, task.manifest.views)
        yield replace(row, arguments=(*row.arguments, *use)), measured


def _row(candidate: Candidate, size: str, features: Features, task: Task, measured: Measured, seconds: float) -> Row:
    return Row(
        backbone=candidate.name,
        size=size,
        head=measured.head,
        views=measured.views,
        quality=measured.estimate(task.select),
        second=measured.estimate(task.second),
        seconds=seconds,
        ms_per_picture=features.milliseconds,
        flops_per_picture=features.num_flops,
        num_parameters=features.num_parameters,
        licence=candidate.licence,
        arguments=candidate.arguments,
    )


def _ranked(
    data: Path, task: Task, rows: list[tuple[Row, Measured]], notes: tuple[str, ...], *, seconds: float
) -> Probe:
    """The result, the best row first, with the differences from it of the best row of each backbone and size."""
    order = best_first(task.select, [row.quality.value for row, _ in rows])
    ranked = [rows[place] for place in order]
    base, done, compared = ranked[0], set[tuple[str, str]](), []
    for row, measured in ranked:
        is_first = (row.backbone, row.size) not in done
        done.add((row.backbone, row.size))
        if is_first and row is not base[0]:
            by_metric = differences(base[1].runs, measured.runs, num_resamples=NUM_RESAMPLES)
            row = replace(row, difference=by_metric.get(task.select.name))
        compared.append(row)
    return Probe(
        data=data,
        metric=task.select,
        second=task.second,
        rows=tuple(compared),
        chance=_chance(task),
        num_samples=len(task.samples),
        num_folds=int(task.folds_RN.max()) + 1,
        num_repetitions=len(task.folds_RN),
        seconds=seconds,
        notes=notes,
    )


def _chance(task: Task) -> Row:
    measured = measure_chance(task)
    return Row(
        backbone="no picture",
        size="",
        head=measured.head,
        views="",
        quality=measured.estimate(task.select),
        second=measured.estimate(task.second),
        seconds=0.0,
        ms_per_picture=None,
        flops_per_picture=None,
        num_parameters=None,
        licence="",
        arguments=(),
    )
