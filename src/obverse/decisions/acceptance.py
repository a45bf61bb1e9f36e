"""Decision on an answer: accept it, leave it to a person, or reject a sample that is unlike the training pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from obverse.recipe import AcceptanceSpec, OutlierSpec, OutputSpec

from .blocks import in_blocks
from .kinds import Kind, Truth

FloatArray = npt.NDArray[np.float64]
Verdict = Literal["accept", "review", "reject"]
VERDICTS: tuple[Verdict, ...] = ("accept", "review", "reject")
"""All verdicts; exported models give the place of one in this order."""
# Probability with which a fitted threshold keeps its promise.
PROMISE = 0.95


@dataclass(frozen=True)
class Decision:
    """What to do with one answer."""

    verdict: Verdict

    reason: str
    """Why, in words."""


def confidence_of(probabilities_NK: npt.NDArray[np.floating[Any]], answers: Truth, kind: Kind) -> FloatArray:
    """The probability that each answer is right (N): that of the answered class.

    For label sets a score that only ranks answers: the product over all classes of the probability that the class is
    rightly in the set or rightly not. Classes are not independent, so that it is not the probability of a right set.
    """

    def of(rows: slice) -> torch.Tensor:
        exact_NK = torch.tensor(probabilities_NK[rows], dtype=torch.float64)
        return kind.confidence(exact_NK, torch.from_numpy(answers[rows]))

    confidence_N: FloatArray = in_blocks(of, *probabilities_NK.shape).numpy()
    return confidence_N


def decide(
    confidence_N: FloatArray,
    output: OutputSpec,
    *,
    outlier_scores_N: FloatArray | None = None,
    is_set: bool = False,
) -> list[Decision] | None:
    """The decisions on answers; None where nothing was fitted for them, as in older bundles.

    outlier_scores_N: how unlike the training pictures each sample is; None where that is not known. is_set: whether
    answers are label sets, whose confidence is a score.
    """
    if output.acceptance is None:
        return None
    exact_N = torch.tensor(confidence_N, dtype=torch.float64)
    scores_N = None if outlier_scores_N is None else torch.tensor(outlier_scores_N, dtype=torch.float64)
    places = verdicts(exact_N, output, outlier_scores_N=scores_N).tolist()
    return [
        Decision(verdict, _reason(verdict, confidence, output, is_set))
        for verdict, confidence in zip((VERDICTS[place] for place in places), exact_N.tolist(), strict=True)
    ]


def verdicts(
    confidence_N: torch.Tensor, output: OutputSpec, *, outlier_scores_N: torch.Tensor | None = None
) -> torch.Tensor:
    """The verdict on each answer, int64 (N), as its place in `VERDICTS`. The output must have a rule of acceptance.

    It never falls with the outlier score, and never rises with the confidence.
    """
    acceptance, outliers = output.acceptance, output.outliers
    assert acceptance is not None
    threshold = math.inf if acceptance.threshold is None else acceptance.threshold
    # What is no number is left to a person, or rejected.
    places_N = (~(confidence_N >= threshold)).long()
    if outliers is None or outlier_scores_N is None:
        return places_N
    return torch.where(outlier_scores_N <= outliers.reject_above, places_N, VERDICTS.index("reject"))


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


def _reason(verdict: Verdict, confidence: float, output: OutputSpec, is_set: bool) -> str:
    """Why an answer has that verdict, in words."""
    acceptance, outliers = output.acceptance, output.outliers
    assert acceptance is not None
    if verdict == "reject":
        assert outliers is not None
        return _unlike(outliers)
    if acceptance.threshold is None:
        return f"{_confidence(confidence, is_set)}; {why_none(acceptance)}"
    if verdict == "accept":
        at_most = f"errors among such answers at most {percent(acceptance.wanted_error)}"
        return f"{_confidence(confidence, is_set)}, {at_most}"
    low, limit = _apart(confidence, acceptance.threshold, is_set)
    return f"{_name(is_set)} {low} is below {limit}"


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
