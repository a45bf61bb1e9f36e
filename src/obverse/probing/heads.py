"""Heads on frozen features: from features and targets of known samples to probabilities of other samples.

A head has options, such as strengths of a penalty, and is fitted for several of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn import functional

from obverse.losses import STRENGTHS, Components, Link, fit_linear, sord_targets

NEIGHBOURS = (1, 3, 5, 10, 20)
NEIGHBOUR_TEMPERATURE = 0.07
"""Temperature of the cosines by which neighbours are weighted (Wu et al. 2018, arXiv:1805.01978)."""

TOLERANCE = 1e-3
"""Largest gradient at which a head counts as fitted: further steps change the metrics by much less than chance does."""

MEAN_TEMPERATURES = (0.03, 0.1, 0.3)


@dataclass(frozen=True, eq=False)
class Known:
    """Features and targets of the samples that a head is fitted to."""

    features_ND: torch.Tensor

    targets_NK: torch.Tensor
    """One-hot, or the label sets as ones and zeros."""

    components: Components
    """Principal components of the features, which the linear heads share."""

    @classmethod
    def of(cls, features_ND: torch.Tensor, targets_NK: torch.Tensor) -> Known:
        """The known samples."""
        return cls(features_ND, targets_NK, Components.of(features_ND))


Fit = Callable[[Known, torch.Tensor, Sequence[float]], torch.Tensor]
"""Function from known samples, features (M, D) of others, and options to probabilities (O, M, K)."""


@dataclass(frozen=True)
class Head:
    """A kind of head."""

    name: str
    fit: Fit

    options: tuple[float, ...]
    """Values to choose from by cross-validation, the most cautious first."""


def heads_for(*, ordered: bool, is_set: bool) -> tuple[Head, ...]:
    """The heads that suit the labels: label sets, ordered or unordered classes."""
    cautious_first = STRENGTHS[::-1]
    neighbours = Head("nearest neighbours", nearest_neighbours, NEIGHBOURS[::-1])
    if is_set:
        return Head("logistic per label", partial(logistic, link="sigmoid"), cautious_first), neighbours
    ordinal = (Head("SORD", sord, cautious_first), Head("ridge-ordinal", ridge_ordinal, cautious_first))
    return (
        *(ordinal if ordered else ()),
        Head("logistic", logistic, cautious_first),
        neighbours,
        Head("class means", class_means, MEAN_TEMPERATURES[::-1]),
    )


def logistic(
    known: Known, features_MD: torch.Tensor, strengths: Sequence[float], *, link: Link = "softmax"
) -> torch.Tensor:
    """Multinomial logistic regression, or one regression per label."""
    heads = fit_linear(known.components, known.targets_NK, strengths, link=link, tolerance=TOLERANCE)
    return heads.probabilities(features_MD)


def sord(known: Known, features_MD: torch.Tensor, strengths: Sequence[float]) -> torch.Tensor:
    """Logistic regression on targets that spread to neighbouring classes (Diaz & Marathe 2019)."""
    targets_NK = known.targets_NK @ sord_targets(known.targets_NK.shape[1]).to(known.targets_NK)
    return fit_linear(known.components, targets_NK, strengths, tolerance=TOLERANCE).probabilities(features_MD)


def ridge_ordinal(known: Known, features_MD: torch.Tensor, strengths: Sequence[float]) -> torch.Tensor:
    """Ridge regression of the K - 1 questions "is the class above j?", whose answers are differences of probability."""
    above_NJ = 1 - known.targets_NK.cumsum(1)[:, :-1]
    base_J = above_NJ.mean(0)
    scores_NR, variances_R = known.components.scores_NR, known.components.variances_R
    covariances_RJ = scores_NR.T @ (above_NJ - base_J) / len(scores_NR)
    penalised_SR = variances_R + torch.tensor(strengths, dtype=variances_R.dtype)[:, None]
    weights_SRJ = covariances_RJ / penalised_SR[:, :, None]
    answers_SMJ = known.components.scores(features_MD) @ weights_SRJ + base_J
    # A class further up is never more probable to be exceeded.
    above_SMJ = answers_SMJ.clamp(0, 1).cummin(2).values
    return functional.pad(above_SMJ, (1, 0), value=1.0) - functional.pad(above_SMJ, (0, 1), value=0.0)


def nearest_neighbours(known: Known, features_MD: torch.Tensor, numbers: Sequence[float]) -> torch.Tensor:
    """Share of each class among the nearest known samples by cosine, the nearer ones weighing more."""
    centre_D = known.features_ND.mean(0)
    cosines_MN = _directions(features_MD, centre_D) @ _directions(known.features_ND, centre_D).T
    most = min(int(max(numbers)), cosines_MN.shape[1])
    nearest_MT, places_MT = cosines_MN.topk(most, dim=1)
    weights_MT = ((nearest_MT - nearest_MT[:, :1]) / NEIGHBOUR_TEMPERATURE).exp()
    votes_MTK = weights_MT[:, :, None] * known.targets_NK[places_MT]
    shares = [votes_MTK[:, :n].sum(1) / weights_MT[:, :n].sum(1, keepdim=True) for n in map(int, numbers)]
    return torch.stack(shares)


def class_means(known: Known, features_MD: torch.Tensor, temperatures: Sequence[float]) -> torch.Tensor:
    """Nearest class mean by cosine, of centred features of length 1 (Wang et al. 2019, arXiv:1911.04623)."""
    centre_D = known.features_ND.mean(0)
    means_KD = known.targets_NK.T @ _directions(known.features_ND, centre_D)
    cosines_MK = _directions(features_MD, centre_D) @ functional.normalize(means_KD, dim=1).T
    cosines_MK = cosines_MK.masked_fill(known.targets_NK.sum(0) == 0, -torch.inf)
    return torch.stack([(cosines_MK / temperature).softmax(1) for temperature in temperatures])


def _directions(features_ND: torch.Tensor, centre_D: torch.Tensor) -> torch.Tensor:
    return functional.normalize(features_ND - centre_D, dim=1)
