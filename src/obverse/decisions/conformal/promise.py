"""What a rule of sets promises, as numbers and in words."""

from __future__ import annotations

import math

from obverse.decisions.acceptance import percent
from obverse.recipe import SetsSpec

from .quantile import place_of

# Of models fitted on other draws of val, the share whose coverage lies within the band.
BAND = 0.9


def band(rule: SetsSpec) -> tuple[float, float] | None:
    """Range of the coverage of models fitted on other draws of val, in nine draws of ten; None without a limit.

    The law of beta distributions for scores without ties. Coverage is higher where the answer alone reaches `level`.
    """
    place = place_of(rule.num_units, level=rule.level, confidence=rule.confidence)
    if place is None:
        return None
    from scipy.special import betaincinv

    ends = (betaincinv(place, rule.num_units + 1 - place, end) for end in ((1 - BAND) / 2, (1 + BAND) / 2))
    low, high = (float(end) for end in ends)
    return low, high


def least_units(level: float, confidence: float | None = None) -> int:
    """The fewest independent samples with which sets can keep the promise without holding every class."""
    if confidence is None:
        return max(1, math.ceil(level / (1 - level) - 1e-9))
    return max(1, math.ceil(math.log(1 - confidence) / math.log(level) - 1e-9))


def promise(rule: SetsSpec) -> str:
    """The promise in words, with the range that this number of samples leaves open."""
    ends, level = band(rule), percent(rule.level)
    samples = f"{rule.num_units:,} independent samples" + (
        " of val" if rule.fitted_on == "val" else " left out of folds"
    )
    if ends is None:
        least = least_units(rule.level, rule.confidence)
        return f"any class, because {level} cannot be promised with {samples}; at least {least} are needed"
    what = "of the true classes" if rule.kind == "labels" else "of new samples"
    each, smallest = (" of each class", " in the smallest class") if rule.is_per_class else ("", "")
    surely = "on average" if rule.confidence is None else f"with a confidence of {percent(rule.confidence)}"
    yours = f"{100 * ends[0]:.0f} to {percent(ends[1])}"
    return f"{level} {what}{each} {surely}; with {samples}{smallest} yours may be {yours}"
