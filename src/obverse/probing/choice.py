"""Choice of the pretrained backbone, and of the input size, for a training with `model.backbone: auto`.

Where several backbones can be had without a download, each answers a part of train and val by a simple head on its
frozen features, in cross-validation. Of those within one standard error of the best the one that computes least is
taken. The cost is counted in operations, not in seconds, so that the same data and recipe give the same choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

from obverse import models
from obverse.errors import DataError
from obverse.evaluation import Estimate, differences
from obverse.experiment import SMALL_SIDE
from obverse.manifest import Index
from obverse.metrics import Metric
from obverse.recipe import AutoBackbone, Recipe, Size, budget_of, within
from obverse.runtime import resolve_device

from .candidates import Candidate, at_hand
from .measure import Measured, best_first
from .probe import MOST_SAMPLES, NUM_RESAMPLES, Bench, Plan
from .result import Row

LEAST_SAMPLES, SAMPLES_PER_CLASS = 500, 5
"""Samples to compare on, or so many per class where that is more: an interval of about four points either way."""

FOLDS = 5

SIZE_FACTORS = (0.5, 1.5)
"""Sides beside those of the weights: half of them for pictures that have no more, and half as much again."""

SIZE_SAMPLES = 5000
"""Training samples up to which sizes are compared: a larger input makes every pass longer by the square."""

SIZE_MINUTES = 30.0
"""Time budget of a training from which on sizes are compared."""

SIZE_UNIT = 16

Notify = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Quiet:
    """Functions that are called while candidates are measured."""

    computing: Progress
    notify: Notify = lambda line: None
    reading: Progress = lambda done, total: None


def contestants(recipe: Recipe, index: Index, reasons: list[str] | None = None) -> tuple[Candidate, ...]:
    """The backbones among which `obverse train` chooses; none where the recipe or the pictures decide.

    reasons: receives a sentence for each weight file in a folder that is not recognised.
    """
    auto = recipe.model.backbone
    if not isinstance(auto, AutoBackbone) or auto.is_scratch:
        return ()
    if auto.files:
        return at_hand(auto, reasons)
    if median(min(index.facts.size_of[path]) for path in index.manifest.samples.paths()) <= SMALL_SIDE:
        return ()
    allowed = within(budget_of(resolve_device(recipe.runtime.device).type))
    cached = {entry.alias for entry in allowed if models.is_cached(entry.name)}
    # Without a choice timm need not be imported, which takes seconds.
    return tuple(candidate for candidate in at_hand(auto) if candidate.name in cached) if len(cached) > 1 else ()


def choose_backbone(
    recipe: Recipe, index: Index, notify: Notify, *, computing: Progress = lambda done, total: None
) -> Recipe:
    """The recipe with the backbone and the size that cross-validation chooses; unchanged where there is no choice.

    notify: called with messages. computing: called with (done, total) samples while features are computed.
    Raises the first candidate's error when weights are named and none can be used.
    """
    reasons: list[str] = []
    candidates = contestants(recipe, index, reasons)
    for reason in reasons:
        notify(reason)
    if len(candidates) < 2:
        return _taken(recipe, candidates[0], notify) if candidates else recipe
    notify(f"{len(candidates)} pretrained backbones are at hand: comparing them on the data by cross-validation")
    samples = max(LEAST_SAMPLES, SAMPLES_PER_CLASS * len(index.manifest.classes))
    plan = Plan(folds=FOLDS, most_samples=min(MOST_SAMPLES, samples), is_brief=True)
    try:
        bench = Bench(recipe, index, plan, Quiet(computing))
    except DataError:
        notify(f"train and val have fewer groups of samples than {FOLDS} folds, too few to compare: the first is taken")
        return _taken(recipe, candidates[0], notify)
    trials = [trial for candidate in candidates for trial in _trials(bench, candidate, None)]
    for line in bench.left_out:
        notify(line)
    if not trials:
        return _none_usable(recipe, bench)
    best, chosen = _decided(trials, bench.task.select)
    for line in _sentences(trials, best, chosen, bench):
        notify(line)
    named = _taken(recipe, chosen.candidate, notify)
    num = len({trial.candidate.name for trial in trials})
    named = _with_choice(named, "the backbone", num) if num > 1 else named
    return _with_size(named, bench, chosen, index, notify)


@dataclass(frozen=True, eq=False)
class Trial:
    """A measured candidate."""

    candidate: Candidate
    size: Size | None
    row: Row
    measured: Measured

    @property
    def cost(self) -> int:
        """Operations per picture."""
        return self.row.flops_per_picture or 0


def _trials(bench: Bench, candidate: Candidate, size: Size | None) -> list[Trial]:
    return [Trial(candidate, size, row, measured) for row, measured in bench.measured(candidate, size)]


def _none_usable(recipe: Recipe, bench: Bench) -> Recipe:
    """The recipe as it was, for which training has a way out where the hub's weights cannot be used."""
    auto = recipe.model.backbone
    if isinstance(auto, AutoBackbone) and auto.files:
        raise bench.errors[0]
    return recipe


def _taken(recipe: Recipe, candidate: Candidate, notify: Notify) -> Recipe:
    notify(f"model: {candidate.reason}")
    return recipe.changed({"model.backbone": candidate.backbone})


def _with_choice(recipe: Recipe, what: str, num: int) -> Recipe:
    """The recipe that states what train and val have chosen, of how many, for the report on val."""
    return recipe.changed({"evaluation.val_chose": (*recipe.evaluation.val_chose, f"{what} (of {num})")})


def _decided(trials: Sequence[Trial], select: Metric) -> tuple[Trial, Trial]:
    """The best trial, and the one with the least cost within a standard error of it (Breiman et al. 1984)."""
    best = trials[best_first(select, [trial.row.quality.value for trial in trials])[0]]
    close = [trial for trial in trials if trial is best or _is_close(trial, best, select)]
    return best, min(close, key=lambda trial: trial.cost)


def _is_close(trial: Trial, best: Trial, select: Metric) -> bool:
    """Whether the paired difference is within its standard error, taken from the 95 % interval."""
    difference = differences(best.measured.runs, trial.measured.runs, num_resamples=NUM_RESAMPLES).get(select.name)
    if difference is None:
        return False
    error = (difference.high - difference.low) / (2 * NormalDist().inv_cdf(0.975))
    return abs(difference.value) <= error


def _sentences(trials: Sequence[Trial], best: Trial, chosen: Trial, bench: Bench) -> list[str]:
    """The measured values, and what follows from them."""
    select = bench.task.select
    on = bench.part or f"{len(bench.task.samples):,} samples of train and val"
    lines = [f"measured on {on}, {FOLDS} folds, with {chosen.row.head} on frozen features: {select.title}, "
             f"{select.better} is better"]  # fmt: skip
    others = [trial for trial in trials if trial is not chosen]
    order = best_first(select, [trial.row.quality.value for trial in others])
    ranked = [chosen, *(others[place] for place in order)]
    first, *rest = [f"{trial.candidate.name}: {_number(trial.row.quality, select)}" for trial in ranked]
    following = f", next {'; '.join(rest)}" if rest else ", the only one that can be used"
    lines.append(f"{first}{following}")
    if chosen is not best:
        share = chosen.cost / best.cost
        lines.append(f"{chosen.candidate.name} is taken: within a standard error of the best, at {share:.0%} of its "
                     "operations per picture")  # fmt: skip
    return lines


def _number(quality: Estimate, metric: Metric) -> str:
    """A value with its 95 % interval."""

    def text(value: float) -> str:
        return f"{100 * value:.0f}" if metric.unit == "share" else f"{value:.2f}"

    value = text(quality.value) + (" %" if metric.unit == "share" else "")
    if quality.low is None or quality.high is None:
        return value
    return f"{value} ({text(quality.low)} to {text(quality.high)})"


def _with_size(recipe: Recipe, bench: Bench, own: Trial, index: Index, notify: Notify) -> Recipe:
    """The recipe with another input size where one is better by more than a standard error."""
    trials = [trial for size in _sizes(recipe, own.row, index) for trial in _trials(bench, own.candidate, size)]
    if not trials:
        return recipe
    recipe = _with_choice(recipe, "the input size", 1 + len(trials))
    select = bench.task.select
    values = "; ".join(f"{trial.row.size}: {_number(trial.row.quality, select)}" for trial in (own, *trials))
    ahead = [trial for trial in trials if _is_ahead(trial, own, select)]
    if not ahead:
        notify(f"input size {values}; that of the weights stays, because no other is better by a standard error")
        return recipe
    chosen = _decided(ahead, select)[1]
    notify(f"input size {values}; {chosen.row.size} is taken, because it is better by more than a standard error")
    return recipe.changed({"data.size": chosen.size})


def _is_ahead(trial: Trial, own: Trial, select: Metric) -> bool:
    return _decided([own, trial], select)[0] is trial and not _is_close(own, trial, select)


def _sizes(recipe: Recipe, row: Row, index: Index) -> list[Size]:
    """The sizes beside that of the weights that are worth measuring; none where the recipe says one."""
    minutes, num_train = recipe.training.minutes, index.manifest.split_counts()["train"]
    is_short = minutes is not None and minutes < SIZE_MINUTES
    if isinstance(recipe.data.size, Size) or is_short or num_train > SIZE_SAMPLES:
        return []
    width, _, height = row.size.partition("x")
    own = Size(width=int(width), height=int(height or width))
    side = math.sqrt(own.height * own.width)
    sizes = [index.facts.size_of[path] for path in index.manifest.samples.paths()]
    source = median(math.sqrt(height * width) for height, width in sizes)
    less, more = SIZE_FACTORS
    # A picture that is enlarged shows no more; one that is shrunk has lost what it shows.
    factors = [less] * (source <= less * side) + [more] * (source >= more * side)
    return [Size(height=_rounded(factor * own.height), width=_rounded(factor * own.width)) for factor in factors]


def _rounded(length: float) -> int:
    return max(SIZE_UNIT, round(length / SIZE_UNIT) * SIZE_UNIT)
