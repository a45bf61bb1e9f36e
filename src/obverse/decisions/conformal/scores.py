"""Scores of classes: the lower, the sooner a class belongs to the prediction set.

The answer of one class per sample has the score 0, so that no set is empty. Scores of ordered classes never fall with
the distance from the answer, so that every set is a contiguous range around the answer.

All is in operators of torch that ONNX has as well, and in the floating type of the probabilities, so that an exported
model contains the code that prediction uses.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from obverse.recipe import SetsSpec


def class_scores(probabilities_NK: torch.Tensor, answers: torch.Tensor, rule: SetsSpec) -> torch.Tensor:
    """The score of every class (N, K). answers: class indices (N); label sets (N, K) are not looked at."""
    if rule.kind == "labels":
        return 1 - probabilities_NK
    answers_N1 = answers[:, None]
    if rule.kind == "range":
        return 1 - _falling_outwards(probabilities_NK, answers_N1)
    if rule.kind == "rps":
        return _rising_outwards(ranked_probability_scores(probabilities_NK), answers_N1)
    scores_NK = 1 - probabilities_NK if rule.kind == "lac" else _raps(probabilities_NK, rule.penalty, rule.rank)
    return torch.where(_places(scores_NK) == answers_N1, 0.0, scores_NK)


def ranked_probability_scores(probabilities_NK: torch.Tensor) -> torch.Tensor:
    """Ranked probability score (N, K) for each class taken as the truth (Epstein 1969).

    It is the sum of squared differences between the cumulative distributions, and is least at the median.
    """
    up_to_NK = probabilities_NK.cumsum(1)
    below_NK = _shifted((up_to_NK**2).cumsum(1))
    above_NK = ((1 - up_to_NK) ** 2).flip(1).cumsum(1).flip(1)
    return below_NK + above_NK


def falling_after(values_NK: torch.Tensor, place_N1: torch.Tensor) -> torch.Tensor:
    """Least-squares fit of the values after a place of each row (N, 1) by non-increasing ones; the others stay.

    By the formula of isotonic regression, min over j <= k of max over l >= k of the mean from j to l, of which no step
    depends on the values. It takes the memory of K values for each value.
    """
    places_K, sums_NK = _places(values_NK), values_NK.cumsum(1)
    first_K1 = places_K[:, None]
    # Of no use before the first value, where it may be anything.
    mean_NKK = (sums_NK[:, None] - _shifted(sums_NK)[:, :, None]) / (places_K - first_K1 + 1).clamp(min=1)
    highest_NKK = _running(torch.maximum, mean_NKK)
    is_inside_NKK = (first_K1 > place_N1[:, None]) & (first_K1 <= places_K)
    # Larger than any probability.
    fitted_NK = torch.where(is_inside_NKK, highest_NKK, 2.0).amin(1)
    return torch.where(places_K > place_N1, fitted_NK, values_NK)


def _raps(probabilities_NK: torch.Tensor, penalty: float, rank: int) -> torch.Tensor:
    """Probability of the class and all likelier ones, and a penalty per place after `rank` (Angelopoulos et al. 2021).

    Without the random number of the paper, so that one picture always has one set; coverage stays exact.
    """
    places_K, num_classes = _places(probabilities_NK), probabilities_NK.shape[1]
    negative_NK, order_NK = torch.sort(-probabilities_NK, dim=1)
    # Equal classes come in their order, whatever a runtime does with them: each is sorted again by the place of the
    # first class that is equal to it, and then by its own number.
    is_new_NK = negative_NK != torch.cat([negative_NK[:, :1], negative_NK[:, :-1]], 1)
    start_NK = _running(torch.maximum, torch.where(is_new_NK, places_K, 0).flip(1)).flip(1)
    order_NK = torch.sort(start_NK * num_classes + order_NK, dim=1).values % num_classes
    late_K = (places_K + 1 - rank).clamp(min=0)
    sorted_NK = (-negative_NK).cumsum(1) + penalty * late_K.to(probabilities_NK.dtype)
    return torch.zeros_like(sorted_NK).scatter(1, order_NK, sorted_NK)


def _rising_outwards(scores_NK: torch.Tensor, answers_N1: torch.Tensor) -> torch.Tensor:
    """The scores of the smallest ranges that hold the answer and a class: a running minimum from the outside."""
    places_K = _places(scores_NK)
    from_left_NK = _running(torch.minimum, scores_NK.flip(1)).flip(1)
    from_right_NK = _running(torch.minimum, scores_NK)
    rising_NK = torch.where(places_K < answers_N1, from_left_NK, from_right_NK)
    return torch.where(places_K == answers_N1, 0.0, rising_NK)


def _falling_outwards(probabilities_NK: torch.Tensor, answers_N1: torch.Tensor) -> torch.Tensor:
    """Probabilities (N, K) made to fall on both sides of the answer, whose own becomes 1.

    Each side becomes its isotonic regression. The classes above a limit are then the contiguous range around the answer
    with the most probability for its length, and ranges of a lower limit contain those of a higher one.
    """
    places_K = _places(probabilities_NK)
    right_NK = falling_after(probabilities_NK, answers_N1)
    left_NK = falling_after(probabilities_NK.flip(1), probabilities_NK.shape[1] - 1 - answers_N1).flip(1)
    sides_NK = torch.where(places_K > answers_N1, right_NK, left_NK)
    return torch.where(places_K == answers_N1, 1.0, sides_NK)


def _places(values_NK: torch.Tensor) -> torch.Tensor:
    """The class indices (K)."""
    return torch.arange(values_NK.shape[1], device=values_NK.device)


def _shifted(values_NK: torch.Tensor) -> torch.Tensor:
    """The values of the places before, 0 at the first."""
    return torch.cat([torch.zeros_like(values_NK[:, :1]), values_NK[:, :-1]], 1)


def _running(extreme: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], values: torch.Tensor) -> torch.Tensor:
    """The minimum or maximum of each place and all after it along the last axis, by doubling steps.

    ONNX has no running minimum. extreme: `torch.minimum` or `torch.maximum`.
    """
    step = 1
    while step < values.shape[-1]:
        # The last places have seen all that come after them.
        joint = extreme(values[..., :-step], values[..., step:])
        values = torch.cat([joint, values[..., -step:]], -1)
        step *= 2
    return values
