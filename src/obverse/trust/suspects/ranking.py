"""Ranking of samples by how badly their label fits the evidence.

The probabilities of the model and the votes of the nearest neighbours are averaged. The score is the expected cost of
the given label under this average, from 0 to 1:

- one class: the probability of all other classes (1 - self-confidence);
- ordered classes: a class d steps off costs 1 - 0.5^d, so that two grades off is worse than one, and nine are hardly
  worse than five;
- label sets: the largest cost of a single label, present or absent.

A sample is a suspect where another label would cost less, and this label is suggested. For ordered classes it is the
median of the average, for label sets the set with every doubtful label turned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .confident import estimated_errors
from .evidence import Evidence

NEIGHBOURS_WEIGHT = 0.3
"""Share of the neighbours in the average. benchmarks/suspects.py compares it with a ranking without neighbours."""

STEP = 0.5
"""Factor by which a further step between ordered classes adds less to the cost."""

LEAST_LISTED = 20
"""Suspects that are listed where fewer are estimated, if there are so many."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Suspect:
    """A sample whose label is probably wrong."""

    place: int
    """Its row in the evidence."""

    given: tuple[str, ...]
    """The given class, or the classes of the given label set."""

    suggested: tuple[str, ...]

    score: float
    """Expected cost of the given label, from 0 to 1."""

    why: str
    """The evidence in words."""

    neighbours: tuple[int, ...] = ()
    """Rows of the nearest samples, the nearest first."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The suspects of a data set, the most suspect first."""

    evidence: Evidence

    scores_N: Array
    """Score of every sample."""

    suspects: tuple[Suspect, ...]
    """At most as many as are worth a look: twice the estimated number of errors, and at least `LEAST_LISTED`."""

    num_suspects: int
    """Number of samples to which another label fits better."""

    num_errors: float
    """Estimated number of wrong labels."""

    @property
    def agreement(self) -> float:
        """Share of the given labels with which the probabilities agree; for label sets, of single labels at 0.5."""
        p_NK, given_NK = self.evidence.probabilities_NK, self.evidence.given_NK
        if self.evidence.is_set:
            return float(((p_NK >= 0.5) == given_NK).mean())
        return float((p_NK.argmax(1) == given_NK.argmax(1)).mean())

    @property
    def order_N(self) -> npt.NDArray[np.int64]:
        """All rows, the most suspect first; equal scores in the order of the evidence."""
        return np.argsort(-self.scores_N, kind="stable")


def rank(evidence: Evidence, *, most: int | None = None) -> Ranking:
    """The ranking of all samples. most: number of suspects to list; None: twice the estimated number of errors."""
    blend_NK = blended(evidence)
    costs_NK = label_costs(blend_NK, evidence)
    suggested_NK = _suggested(blend_NK, costs_NK, evidence)
    scores_N = costs_NK.max(1) if evidence.is_set else costs_NK[evidence.given_NK]
    is_suspect_N = (suggested_NK != evidence.given_NK).any(1)
    num_errors = estimated_errors(evidence.probabilities_NK, evidence.given_NK, is_set=evidence.is_set)
    order_N = np.argsort(-scores_N, kind="stable")
    places = order_N[is_suspect_N[order_N]].tolist()
    wanted = max(LEAST_LISTED, round(2 * num_errors)) if most is None else most
    suspects = tuple(_suspect(place, evidence, suggested_NK[place], scores_N[place]) for place in places[:wanted])
    return Ranking(evidence, scores_N, suspects, len(places), num_errors)


def blended(evidence: Evidence) -> Array:
    """Average (N, K) of the model's probabilities and the neighbours' votes."""
    if evidence.neighbours is None:
        return evidence.probabilities_NK
    shares_NK = evidence.neighbours.shares(evidence.given_NK)
    has_votes_N1 = np.isfinite(shares_NK).all(1, keepdims=True)
    both_NK = (1 - NEIGHBOURS_WEIGHT) * evidence.probabilities_NK + NEIGHBOURS_WEIGHT * np.nan_to_num(shares_NK)
    return np.where(has_votes_N1, both_NK, evidence.probabilities_NK)


def label_costs(blend_NK: Array, evidence: Evidence) -> Array:
    """Expected cost (N, K) of every class as the label; for label sets, of each given presence or absence."""
    if evidence.is_set:
        return np.where(evidence.given_NK, 1 - blend_NK, blend_NK)
    if not evidence.ordered:
        return 1 - blend_NK
    steps_K = np.arange(blend_NK.shape[1])
    costs_NK: Array = blend_NK @ (1 - STEP ** np.abs(steps_K[:, None] - steps_K))
    return costs_NK


def _suggested(blend_NK: Array, costs_NK: Array, evidence: Evidence) -> npt.NDArray[np.bool_]:
    """The labels that fit best (N, K). Ties go to the given label."""
    if evidence.is_set:
        return evidence.given_NK ^ (costs_NK > 0.5)
    rows, given_N = np.arange(len(blend_NK)), evidence.given_NK.argmax(1)
    if evidence.ordered:
        best_N = (blend_NK.cumsum(1) < 0.5 * blend_NK.sum(1, keepdims=True) - 1e-9).sum(1)
    else:
        best_N = blend_NK.argmax(1)
        best_N = np.where(blend_NK[rows, best_N] > blend_NK[rows, given_N] + 1e-9, best_N, given_N)
    suggested_NK = np.zeros_like(evidence.given_NK)
    suggested_NK[rows, best_N] = True
    return suggested_NK


def _suspect(place: int, evidence: Evidence, suggested_K: npt.NDArray[np.bool_], score: float) -> Suspect:
    near = () if evidence.neighbours is None else evidence.neighbours.places_NT[place]
    return Suspect(
        place,
        _names(evidence, evidence.given_NK[place]),
        _names(evidence, suggested_K),
        float(score),
        "; ".join(_reasons(place, evidence, suggested_K)),
        tuple(int(other) for other in near if other >= 0),
    )


def _names(evidence: Evidence, is_in_K: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(evidence.classes[k] for k in np.flatnonzero(is_in_K))


def _reasons(place: int, evidence: Evidence, suggested_K: npt.NDArray[np.bool_]) -> Iterator[str]:
    """Yield what the model and the neighbours say about the classes in which the two labels differ."""
    given_K, p_K = evidence.given_NK[place], evidence.probabilities_NK[place]
    differ = [int(k) for k in np.flatnonzero(given_K ^ suggested_K)]
    differ.sort(key=lambda k: (not suggested_K[k], k))
    yield f"{evidence.judges[place]}: " + ", ".join(f"{evidence.classes[k]} {_percent(p_K[k])}" for k in differ[:4])
    if evidence.neighbours is None:
        return
    near = evidence.neighbours.places_NT[place]
    near = near[near >= 0]
    if not len(near):
        return
    votes_K = evidence.given_NK[near].sum(0)
    words = f"{len(near)} nearest: " + ", ".join(f"{votes_K[k]} {evidence.classes[k]}" for k in differ[:4])
    if evidence.ordered:
        middle = int(np.sort(evidence.given_NK[near].argmax(1))[(len(near) - 1) // 2])
        words += f", median {evidence.classes[middle]}"
    yield words


def _percent(share: float) -> str:
    """The share in per cent; never rounded to certainty."""
    if share < 0.01:
        return "under 1 %"
    return "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"
