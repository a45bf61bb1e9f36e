"""Scores of ordered classes by each decision rule: the same probabilities, read by mode, median and mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from obverse.decisions import OneClass
from obverse.evaluation.estimates import none_if_nan
from obverse.evaluation.predictions import Predictions
from obverse.evaluation.sections import table_section
from obverse.metrics import ONE_LABEL
from obverse.registry import Decode
from obverse.report import Row, Section

SCORES = tuple(
    metric for metric in ONE_LABEL if metric.block == "ordinal" or (metric.one_label and metric.one_label.is_headline)
)
"""Metrics in the comparison of decision rules: the headline and those of ordered classes."""


@dataclass(frozen=True)
class Decoding:
    """Scores of ordered classes by each decision rule."""

    used: Decode
    """The rule of the model's answers."""

    scores: dict[Decode, dict[str, float | None]]
    """Rule -> metric -> value; None where it is not defined."""


def measure_decoding(labelled: Predictions) -> Decoding:
    """The scores of predictions of ordered classes by each rule; every sample must have a label."""
    assert isinstance(labelled.kind, OneClass)
    rules: tuple[Decode, ...] = get_args(Decode)
    return Decoding(labelled.kind.decode, {rule: _scores(labelled, rule) for rule in rules})


def _scores(labelled: Predictions, rule: Decode) -> dict[str, float | None]:
    answers = replace(labelled, kind=OneClass(rule, ordered=True)).outcome
    return {metric.name: none_if_nan(metric.value(answers)) for metric in SCORES}


def decoding_section(decoding: Decoding | None) -> Section:
    """The section that compares the rules; empty unless classes are ordered."""
    title = "Answers by mode, median and mean"
    if decoding is None:
        return Section(title)
    sentence = (
        f"An answer is the {decoding.used} of a sample's probabilities over the ordered classes. The table reads the "
        "same probabilities by each rule. `training.select` chooses the rule (`loss.decode` sets another), because a "
        "rule picked from these rows would be fitted to these samples."
    )
    rows = [_row(rule, scores, is_used=rule == decoding.used) for rule, scores in decoding.scores.items()]
    return table_section(title, ("answer", *(metric.title for metric in SCORES)), rows, (sentence,))


def _row(rule: Decode, scores: dict[str, float | None], *, is_used: bool) -> Row:
    cells = []
    for metric in SCORES:
        value = scores[metric.name]
        is_share = metric.unit == "share"
        cells.append("not defined" if value is None else f"{100 * value:.1f} %" if is_share else f"{value:.3f}")
    return (f"{rule} (the answer)" if is_used else rule, *cells)
