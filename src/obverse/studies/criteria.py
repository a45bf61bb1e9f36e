"""Acceptance criteria: check of runs against limits and comparisons that a criteria file states in advance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from obverse import metrics
from obverse.errors import DataError, RecipeError
from obverse.evaluation import Estimate
from obverse.recipe import Criterion

from .compare import Comparison, Contender, Row, compare, is_sure, untested


@dataclass(frozen=True)
class Verdict:
    """Result of one criterion for one run."""

    criterion: str
    """Name of the criterion."""

    run: str
    is_met: bool

    reason: str
    """The numbers behind the result."""

    def as_json(self) -> dict[str, Any]:
        """The verdict as plain JSON values. The reason's key is `said`, as in files of earlier versions."""
        return {"criterion": self.criterion, "run": self.run, "is_met": self.is_met, "said": self.reason}


def check_criteria(
    criteria: Sequence[Criterion], contenders: Sequence[Contender], unfinished: Mapping[str, str] | None = None
) -> list[Verdict]:
    """Verdicts of every criterion for every run that matches its pattern.

    unfinished: name -> reason, of runs without a complete result; they meet no criterion.
    """
    absent = unfinished or {}
    by_name = {contender.name: contender for contender in contenders}
    verdicts = []
    for criterion in criteria:
        names = [name for name in {**by_name, **absent} if fnmatchcase(name, criterion.runs)]
        names = [name for name in names if name != criterion.better_than]
        if not names:
            verdicts.append(Verdict(criterion.name, criterion.runs, False, "there is no such run"))
        for name in names:
            if name in absent:
                verdicts.append(Verdict(criterion.name, name, False, absent[name]))
            else:
                is_met, reason = _judged(criterion, by_name[name], by_name)
                verdicts.append(Verdict(criterion.name, name, is_met, reason))
    return verdicts


def require_applicable(criteria: Sequence[Criterion], contenders: Sequence[Contender]) -> None:
    """RecipeError for a criterion about a metric that the data of its runs does not have."""
    for criterion in criteria:
        for contender in contenders:
            if criterion.metric and fnmatchcase(contender.name, criterion.runs):
                why = _inapplicable(criterion.metric, contender)
                if why:
                    raise RecipeError(f"criterion {criterion.name!r}: {why}")


def _inapplicable(name: str, contender: Contender) -> str:
    """Why the metric means nothing for these runs; empty where it does."""
    is_set = contender.is_set
    metric = metrics.metric_named(name, label_sets=is_set)
    if metric is None:
        kinds = ("one class per sample", "multi-label data")
        known = ", ".join(metric.name for metric in metrics.compared(label_sets=is_set))
        return f"{name} is for {kinds[not is_set]}, and {contender.name} is of {kinds[is_set]}; choose {known}"
    if "order" in metric.needs and not contender.runs[0].kind.ordered:
        return f"{name} needs classes with an order, and those of {contender.name} have none"
    return ""


def _judged(criterion: Criterion, contender: Contender, others: Mapping[str, Contender]) -> tuple[bool, str]:
    if criterion.finished:
        return True, "finished"
    assert criterion.metric is not None
    if criterion.better_than is not None:
        if criterion.better_than not in others:
            return False, f"there is no finished run {criterion.better_than!r}"
        return _beats(others[criterion.better_than], contender, criterion.metric)
    estimate = contender.estimate(criterion.metric)
    if estimate is None:
        return False, _inapplicable(criterion.metric, contender) or f"{criterion.metric} was not measured"
    value = f"{criterion.metric} {estimate.value:.4f}"
    if estimate.low is not None and estimate.high is not None:
        value += f" ({estimate.low:.4f} to {estimate.high:.4f})"
    elif criterion.sure:
        value += f", not sure: {estimate.reason or 'there is no interval'}"
    return _is_within(criterion, estimate), value


def _is_within(criterion: Criterion, estimate: Estimate) -> bool:
    low, high = (estimate.low, estimate.high) if criterion.sure else (estimate.value, estimate.value)
    if criterion.above is not None:
        return low is not None and low > criterion.above
    assert criterion.below is not None
    return high is not None and high < criterion.below


def _equals(p_value: float) -> str:
    words = metrics.p_value_words(p_value)
    return words if words.startswith("below") else f"= {words}"


def _beats(base: Contender, other: Contender, metric: str) -> tuple[bool, str]:
    try:
        comparison: Comparison = compare([base, other])
    except DataError as error:
        return False, str(error)
    row: Row = comparison.rows[1]
    known = metrics.metric_named(metric, label_sets=base.is_set)  # a criterion may use another name of the metric
    if known is None or known.name not in row.differences:
        why = untested([base, other]).get(known.name) if known else None
        if why:
            return False, f"{metric} is not compared: {why}"
        return False, _inapplicable(metric, other) or f"{metric} was not measured"
    paired = row.differences[known.name]
    interval = f"({paired.low:+z.4f} to {paired.high:+z.4f})"
    reason = f"{metric} {paired.value:+z.4f} {interval}, p {_equals(paired.p_value)}, {paired.test}"
    return is_sure(row, known.name) and paired.favours_other, reason
