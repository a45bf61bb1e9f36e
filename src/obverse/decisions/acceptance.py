"""Decision on an answer: accept it, leave it to a person, or reject a sample that is unlike the training pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from obverse.recipe import AcceptanceSpec, OutlierSpec, OutputSpec

from .kinds import Kind, Truth

Verdict = Literal["accept", "review", "reject"]
VERDICTS: tuple[Verdict, ...] = ("accept", "review", "reject")
# Probability with which a fitted threshold keeps its promise.
PROMISE = 0.95


@dataclass(frozen=True)
class Decision:
    """What to do with one answer."""

    verdict: Verdict

    reason: str
    """Why, in words."""


def confidence_of(
    probabilities_NK: npt.NDArray[np.floating[Any]], answers: Truth, kind: Kind
) -> npt.NDArray[np.float64]:
    """The probability that each answer is right (N): that of the answered class.

    For label sets a score that only ranks answers: the product over all classes of the probability that the class is
    rightly in the set or rightly not. Classes are not independent, so that it is not the probability of a right set.
    """
    exact_NK = torch.tensor(probabilities_NK, dtype=torch.float64)
    confidence_N: npt.NDArray[np.float64] = kind.confidence(exact_NK, torch.from_numpy(answers)).numpy()
    return confidence_N


def decide(
    confidence: float, output: OutputSpec, *, outlier_score: float | None = None, is_set: bool = False
) -> Decision | None:
    """The decision on one answer; None where nothing was fitted for one, as in older bundles.

    outlier_score: how unlike the training pictures the sample is; None where that is not known. is_set: whether answers
    are label sets, whose confidence is a score.
    """
    acceptance, outliers = output.acceptance, output.outliers
    if acceptance is None:
        return None
    if outliers is not None and outlier_score is not None and not outlier_score <= outliers.reject_above:
        return Decision("reject", _unlike(outliers))
    threshold = acceptance.threshold
    if threshold is None:
        return Decision("review", f"{_confidence(confidence, is_set)}; {why_none(acceptance)}")
    if confidence >= threshold:
        at_most = f"errors among such answers at most {percent(acceptance.wanted_error)}"
        return Decision("accept", f"{_confidence(confidence, is_set)}, {at_most}")
    low, limit = _apart(confidence, threshold, is_set)
    return Decision("review", f"{_name(is_set)} {low} is below {limit}")


def limit_words(threshold: float, *, is_set: bool) -> str:
    """Which answers are accepted, in words."""
    if not is_set:
        return f"Answers of at least {percent(threshold, digits=1)} confidence"
    return (
        "The confidence score of a label set is the product of its classes' probabilities, as if they were independent;"
        " it ranks answers and is not the probability that the set is right. Answers with a score of at least "
        f"{_score(threshold, digits=1)}"
    )


def least_error(num_units: int) -> float:
    """The least error that so many independent samples can promise: where all of them are right (Clopper-Pearson)."""
    return 1.0 if num_units < 1 else float(1 - (1 - PROMISE) ** (1 / num_units))


def why_none(acceptance: AcceptanceSpec) -> str:
    """Why val can promise the wanted error for no threshold."""
    num, what = acceptance.num_units, "groups" if acceptance.are_groups else "samples"
    least, place = least_error(num), "val" if acceptance.fitted_on == "val" else "the folds"
    if least > acceptance.wanted_error:
        return f"with {num} {what} on {place} no error below {percent(least, digits=1)} can be promised"
    wanted = percent(acceptance.wanted_error)
    if acceptance.num_right is None:
        return f"on {place} ({num} {what}) even confident answers err too often to promise at most {wanted}"
    each = " (one of each group)" if acceptance.are_groups else ""
    wrong = acceptance.num_tested_wrong
    among = f"of the {acceptance.num_tested:,} most confident " if acceptance.num_tested < num else ""
    tested = f"{among}{wrong:,} {'is' if wrong == 1 else 'are'} wrong"
    return (
        f"on {place}, judged as if they were new, {acceptance.num_right:,} of {num:,} answers{each} are right, but "
        f"{tested}: too many to promise at most {wanted}"
    )


def percent(share: float, *, digits: int = 0) -> str:
    """A share in per cent. It is 0 % or 100 % only where it is exactly that."""
    for more in range(digits, 5):
        text = f"{100 * share:.{more}f}"
        if float(text) not in (0.0, 100.0) or share in (0.0, 1.0):
            return f"{text} %"
    return "0 %" if share < 0.5 else "above 99.99 %"


def most_of_val(outliers: OutlierSpec) -> str:
    """The share of val that a rejected sample is farther from the training pictures than, in words."""
    below = percent(outliers.share_below)
    return f"{'all' if below == '100 %' else below} of val"


def _confidence(confidence: float, is_set: bool) -> str:
    return f"{_name(is_set)} {_score(confidence) if is_set else percent(confidence)}"


def _name(is_set: bool) -> str:
    return "confidence score" if is_set else "confidence"


def _score(value: float, *, digits: int = 0) -> str:
    """A score between 0 and 1, which is not a share."""
    return f"{value:.{digits + 2}g}"


def _apart(low: float, high: float, is_set: bool) -> tuple[str, str]:
    """Both confidences, with as many digits as it takes to tell them apart."""
    show = _score if is_set else percent
    for digits in range(5):
        pair = show(low, digits=digits), show(high, digits=digits)
        if pair[0] != pair[1]:
            return pair
    return pair


def _unlike(outliers: OutlierSpec) -> str:
    return f"unlike the training pictures (farther than {most_of_val(outliers)})"
