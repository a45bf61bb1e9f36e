"""Verdict of a comparison in one sentence: which run is better, by how much, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from obverse.evaluation import LEVEL, Difference, Predictions, gain_in, gain_in_accuracy, joint_units
from obverse.metrics import Metric, units_to_detect

ONE_POINT = 0.01
"""The difference for which the verdict gives the test size: one point of per cent."""


def verdict(names: tuple[str, str], metric: Metric, difference: Difference, p_value: float, needed: str) -> str:
    """The sentence on two runs. p_value: adjusted for several comparisons. needed: what would tell more."""
    base, other = names
    if p_value < LEVEL:
        better, worse = (other, base) if difference.favours_other else (base, other)
        sign = 1 if difference.value >= 0 else -1
        low, high = sorted((sign * difference.low, sign * difference.high))
        return (
            f"{better} is better than {worse}: {_size(abs(difference.value), metric)} of {metric.title} "
            f"({_number(low, metric)} to {_number(high, metric)}); between equally good models a difference this size "
            f"is seen in {_one_of(p_value)} comparisons"
        )
    sign = -1 if metric.better == "lower" else 1
    low, high = sorted((sign * difference.low, sign * difference.high))
    return f"Cannot tell {base} and {other} apart in {metric.title}: {other} is {_between(low, high, metric)}{needed}"


def _between(low: float, high: float, metric: Metric) -> str:
    """The interval of a gain in words."""
    if low < 0 < high:
        return f"between {_size(-low, metric)} worse and {_size(high, metric)} better"
    if low >= 0:
        return f"between {_number(low, metric)} and {_size(high, metric)} better, which may be chance"
    return f"between {_number(-high, metric)} and {_size(-low, metric)} worse, which may be chance"


def _number(value: float, metric: Metric) -> str:
    return f"{100 * value:z.1f}" if metric.unit == "share" else f"{value:z.3f}"


def _size(value: float, metric: Metric) -> str:
    return f"{_number(value, metric)} points" if metric.unit == "share" else _number(value, metric)


def _one_of(p_value: float) -> str:
    """The probability as one of so many, in two digits."""
    if p_value < 1e-4:
        return "fewer than 1 of 10,000"
    number = 1 / p_value
    digits = max(0, math.floor(math.log10(number)) - 1)
    return f"1 of {int(round(number, -digits)):,}"


def needed_words(metric: Metric, base: Sequence[Predictions], other: Sequence[Predictions]) -> str:
    """How many test samples, groups or seeds would tell a difference of one point, as the end of the verdict.

    Empty for a metric that is no mean over samples, such as macro F1.
    """
    if len(base) > 1 or len(other) > 1:
        return "; more seeds, or more test samples, would tell more"
    one, two = base[0].labelled(), other[0].labelled()
    units = joint_units((one, two))
    is_accuracy = metric.name == "accuracy"
    if not is_accuracy and metric.measure_for(one.outcome).of_samples is None:
        return ""
    gain_N = gain_in_accuracy(one, two) if is_accuracy else gain_in(metric, one, two)
    num = units_to_detect(ONE_POINT, gain_N, units, are_hits=is_accuracy)
    size = "1 point" if metric.unit == "share" else f"{ONE_POINT:g}"
    what = "groups of test samples" if units.are_groups else "test samples"
    return f"; about {_rounded(num):,} {what} would tell a difference of {size}, and there are {units.num:,}"


def _rounded(number: int) -> int:
    """The number in two digits."""
    return round(number, -max(0, len(str(number)) - 2))


def not_compared(names: tuple[str, str], reason: str) -> str:
    """The sentence on two runs without a paired difference."""
    return f"{names[0]} and {names[1]} are not compared: {reason}"
