"""Comparison of runs: every metric with its interval, and the paired difference from the first contender.

A contender is one run, or several that differ only in their seed. With more than two contenders, p-values are adjusted
for multiple comparisons (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from obverse import metrics
from obverse.bundle import find_bundle, require_no_folds
from obverse.errors import DataError
from obverse.evaluation import (
    LEVEL,
    Difference,
    Estimate,
    Predictions,
    differences,
    discordant,
    gain_in,
    gain_in_accuracy,
    holm,
    joint_units,
    require_same_samples,
    samples_needed,
    seed_interval,
    too_few,
    units_needed,
)
from obverse.files import read_json_object
from obverse.metrics import Metric
from obverse.runs import RunFolder


@dataclass(frozen=True)
class Contender:
    """One side of a comparison: a run, or several runs that differ only in their seed."""

    name: str

    runs: tuple[Predictions, ...]
    """Predictions of each seed."""

    metrics: tuple[Mapping[str, Any], ...]
    """Content of each seed's metrics.json."""

    paths: tuple[Path, ...] = ()
    """The folder of each seed's run or evaluation."""

    @property
    def is_set(self) -> bool:
        """Whether the runs give label sets."""
        return self.runs[0].kind.is_set

    def of_seeds(self, metric: str) -> list[Estimate]:
        """The metric's estimate in each run; empty unless every run has one."""
        compared = metrics.metric_named(metric, label_sets=self.is_set)
        estimates = [_measured(values, compared) for values in self.metrics] if compared else []
        known = [estimate for estimate in estimates if estimate is not None]
        return known if len(known) == len(estimates) else []

    def estimate(self, metric: str) -> Estimate | None:
        """The metric with its 95 % interval, over seeds, or over samples for a single run; None when not measured."""
        compared, known = metrics.metric_named(metric, label_sets=self.is_set), self.of_seeds(metric)
        if len(known) < 2:
            return known[0] if known else None
        assert compared is not None
        return over_seeds([estimate.value for estimate in known], compared)


def over_seeds(values: Sequence[float], metric: Metric) -> Estimate:
    """The mean of a metric over seeds, and its interval within what is possible: no error is below 0."""
    return seed_interval(values, bounds=metric.possible)


@dataclass(frozen=True)
class Row:
    """Results of one contender."""

    name: str
    num_runs: int

    values: Mapping[str, Estimate] = field(hash=False)
    """Metric -> its estimate."""

    differences: Mapping[str, Difference] = field(default_factory=dict, hash=False)
    """Metric -> difference from the first row."""

    adjusted: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Metric -> p-value of the difference, adjusted for multiple comparisons."""

    note: str = ""
    """Why differences are missing."""


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison."""

    rows: tuple[Row, ...]
    """One row per contender; the first is the base of all differences."""

    sentences: tuple[str, ...]
    """Notes below the table: metrics that are not compared, and the samples that a difference would need."""

    is_set: bool = False
    """Whether the contenders predict label sets."""

    verdicts: tuple[str, ...] = ()
    """One sentence per contender but the first: whether it is better, and how sure that is."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that at least one row has, the headline first."""
        known = (metric.name for metric in metrics.compared(label_sets=self.is_set))
        return tuple(name for name in known if any(name in row.values for row in self.rows))

    @property
    def headline(self) -> Metric:
        """The main metric, shown first."""
        return metrics.compared(label_sets=self.is_set)[0]

    @property
    def tested(self) -> Metric:
        """The first metric in which differences were tested; the headline where there is none."""
        known = metrics.compared(label_sets=self.is_set)
        return next((m for m in known if any(m.name in row.differences for row in self.rows)), self.headline)

    def as_json(self) -> dict[str, Any]:
        """The comparison as plain JSON values."""
        return {
            "verdicts": self.verdicts,
            "rows": [asdict(row) for row in self.rows],
            "sentences": self.sentences,
        }

    def _repr_html_(self) -> str:
        """The comparison as HTML for a notebook."""
        from .comparison_table import comparison_fragment

        return comparison_fragment(self)


def read_contender(path: Path, split: str = "test", name: str | None = None) -> Contender:
    """The contender read from a run folder, or from an evaluation folder.

    A folder of runs `seed-*`, a condition of a sweep, is one contender.
    split: which of a run's evaluations. Raises DataError when there is no evaluation.
    """
    if next(path.glob("seed-*"), None) is not None:
        return read_seeds(path, split, name or path.resolve().name)
    folder = path if (path / "names.json").is_file() else RunFolder(path).evaluation(split)
    if not folder.is_dir():
        if (path / "recipe.yaml").is_file():
            find_bundle(path)  # raises, for an interrupted run, an error that says how to resume it
        require_no_folds(path)
        what = f"has no evaluation of {split!r}" if path.is_dir() else "does not exist"
        raise DataError(f"{str(path)!r} {what}")
    predictions = Predictions.read(folder)
    own_name, values = name or path.resolve().name, read_json_object(folder / "metrics.json")
    return Contender(own_name, (predictions,), (values,), (path,))


def read_seeds(path: Path, split: str, name: str) -> Contender:
    """The contender of a sweep's condition: all its finished seeds."""
    runs = [RunFolder(seed) for seed in sorted(path.glob("seed-*"))]
    seeds = [read_contender(run.path, split) for run in runs if run.is_finished]
    if not seeds:
        raise DataError(f"{str(path)!r} has no finished run")
    return Contender(
        name,
        tuple(seed.runs[0] for seed in seeds),
        tuple(seed.metrics[0] for seed in seeds),
        tuple(seed.paths[0] for seed in seeds),
    )


def compare(contenders: Sequence[Contender], *, only_alike: bool = True, num_resamples: int = 2000) -> Comparison:
    """The comparison of all contenders with the first.

    only_alike: raise DataError for a contender measured on other samples or classes; False: its row gets a note.
    """
    first = contenders[0]
    # The smallest bootstrap p-value is 2 / num_resamples. Multiplied by the number of comparisons (Holm), it must stay
    # below LEVEL, or no difference could ever be significant.
    num_resamples = max(num_resamples, 100 * (len(contenders) - 1))
    base = aligned(first, first)
    rows = [_row(first)]
    for other in contenders[1:]:
        try:
            by_metric = differences(base, aligned(first, other), num_resamples=num_resamples)
            without = untested([first, other])
            rows.append(_row(other, {name: result for name, result in by_metric.items() if name not in without}))
        except DataError:
            if only_alike:
                raise
            rows.append(_row(other, note=f"measured on other samples or classes than {first.name}"))
    sentences = (*_left_out(contenders, rows), *_power(contenders))
    rows = _adjusted(rows)
    verdicts = tuple(_verdict(first, other, row) for other, row in zip(contenders[1:], rows[1:], strict=True))
    return Comparison(tuple(rows), sentences, first.is_set, verdicts)


def _verdict(first: Contender, other: Contender, row: Row) -> str:
    """The comparison of one contender with the first in a sentence."""
    from .comparison.verdict import needed_words, not_compared, verdict

    names, metric = (first.name, other.name), tested_metric(row, is_set=first.is_set)
    if metric is None:
        return not_compared(names, row.note or "there are too few samples, or all are of one group")
    base, others = aligned(first, first), aligned(first, other)
    p_value = row.adjusted[metric.name]
    needed = "" if p_value < LEVEL else needed_words(metric, base, others)
    return verdict(names, metric, row.differences[metric.name], p_value, needed)


def tested_metric(row: Row, *, is_set: bool) -> Metric | None:
    """The first metric in which a row's difference was tested."""
    return next((m for m in metrics.compared(label_sets=is_set) if m.name in row.differences), None)


def aligned(first: Contender, other: Contender) -> list[Predictions]:
    """The runs of a contender in the sample order of the first. Raises DataError for other samples or classes."""
    base = first.runs[0]
    return [base if run is base else require_same_samples(base, run, (first.name, other.name)) for run in other.runs]


def _row(contender: Contender, by_metric: Mapping[str, Difference] | None = None, note: str = "") -> Row:
    names = [metric.name for metric in metrics.compared(label_sets=contender.is_set)]
    values = {name: estimate for name in names if (estimate := contender.estimate(name)) is not None}
    return Row(contender.name, len(contender.runs), values, by_metric or {}, note=note)


def _adjusted(rows: Sequence[Row]) -> list[Row]:
    by_metric: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(name for row in rows for name in row.differences):
        tested = [row for row in rows if name in row.differences]
        p_values = holm([row.differences[name].p_value for row in tested])
        by_metric[name] = {row.name: p for row, p in zip(tested, p_values, strict=True)}
    return [
        Row(
            row.name,
            row.num_runs,
            row.values,
            row.differences,
            {name: by_metric[name][row.name] for name in row.differences},
            row.note,
        )
        for row in rows
    ]


def _left_out(contenders: Sequence[Contender], rows: Sequence[Row]) -> list[str]:
    """Sentences on the metrics that are measured but not compared, and on values without an interval."""
    alike = [contender for contender, row in zip(contenders, rows, strict=True) if not row.note]
    without = untested(alike) if any(row.differences for row in rows) else {}
    lines = [f"{name} is not compared: {why}" for name, why in without.items()]
    for name in dict.fromkeys(name for row in rows for name in row.values if name not in without):
        by_reason: dict[str, list[str]] = {}
        for row in rows:
            if name in row.values and row.values[name].low is None and row.values[name].reason:
                by_reason.setdefault(row.values[name].reason, []).append(row.name)
        lines += [f"{name} of {', '.join(whose)} has no interval: {why}" for why, whose in by_reason.items()]
    return lines


def untested(contenders: Sequence[Contender]) -> dict[str, str]:
    """Metrics by which contenders on the same samples are not compared: name -> reason.

    There are too few samples; or the value of a run has no interval, and then a difference from it has none either.
    """
    reasons = too_few([run for contender in contenders for run in contender.runs])
    for metric in metrics.compared(label_sets=contenders[0].is_set):
        for contender in contenders:
            bare = [each.reason for each in contender.of_seeds(metric.name) if each.low is None and each.reason]
            if bare and metric.name not in reasons:
                few = bare[0].startswith("too few")
                reasons[metric.name] = bare[0] if few else f"{bare[0]} ({contender.name})"
    return reasons


def _power(contenders: Sequence[Contender]) -> list[str]:
    """A sentence on two single runs: samples that only one has right, and samples or groups needed to find a
    difference of this size with 80 % power. Empty for any other comparison.
    """
    if len(contenders) != 2 or any(len(contender.runs) > 1 for contender in contenders):
        return []
    pair = contenders[0].runs[0], aligned(*contenders)[0]
    base, other = (run.labelled() for run in pair)
    counts, units = discordant(base, other), joint_units((base, other))
    if units.are_groups and units.num < 2:
        return ["all samples are of one group, which cannot tell how much a difference varies"]
    headline = metrics.compared(label_sets=base.kind.is_set)[0]
    whose = "samples" if headline.name == "accuracy" else "whole label sets"
    right = (
        f"{counts[0]} {whose.removesuffix('s') if counts[0] == 1 else whose} only {contenders[0].name} has right, "
        f"{counts[1]} only {contenders[1].name}"
    )
    if counts == (0, 0):
        right = f"Both are right on the same {whose}"
    if headline.name in too_few((base, other)) or (counts == (0, 0) and headline.name == "accuracy"):
        return [right]
    what = "groups of samples" if units.are_groups else "samples"
    if headline.name != "accuracy":
        needed = units_needed(gain_in(headline, base, other), units)
    elif units.are_groups:
        needed = units_needed(gain_in_accuracy(base, other), units)
    else:
        needed = samples_needed(*counts, len(base.ids))
    if needed is None:
        return [f"{right}: no difference in {headline.title} at all"]
    size = "of this size" if headline.name == "accuracy" else f"in {headline.title} of this size"
    return [f"{right}; to find a difference {size} four times in five takes about {needed:,} {what}, "
            f"and there are {units.num:,}"]  # fmt: skip


def _measured(values: Mapping[str, Any], metric: metrics.Metric) -> Estimate | None:
    block = (values.get(metric.block) or {}) if metric.block else values
    value = block.get(metric.key or metric.name)
    if not isinstance(value, dict):
        return None
    return Estimate(value["value"], value["low"], value["high"], value.get("reason", ""))


def is_sure(row: Row, metric: str) -> bool:
    """Whether the row's difference from the first is significant at 5 %, after adjustment."""
    return metric in row.adjusted and row.adjusted[metric] < LEVEL
