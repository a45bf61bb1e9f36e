"""Near duplicates: copies of a picture that were resized, re-encoded or cropped a little. Advisory: found by a score.

Thumbprints are blurred, so that a small crop is approximately a linear combination of four known changes: shift and
zoom along both axes. The score is the norm of the difference that remains after fitting these changes, relative to the
picture's own detail. It is the tangent distance of Simard, LeCun and Denker (1993). Copies by resizing to half, JPEG at
quality 60 or a 2 % crop score below `LARGEST_SCORE` (measured by benchmarks/check.py).

Unrelated pictures ("strangers") may score as low if a whole set looks alike. The number of stranger pairs follows a
power law of the score near zero (Grassberger and Procaccia, 1983). The law is fitted to scores above those of copies
and extrapolated to lower ones. The threshold is the largest score at which at least `EXCESS` times as many pairs are
found as expected of strangers, both in all and just below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obverse.imaging import PRINT_SIDE, Trait
from obverse.manifest.verify.facts import Array, PictureFacts

Floats = npt.NDArray[np.float32]

# Upper bound of the threshold.
LARGEST_SCORE = 0.15
# Least ratio of found pairs to expected stranger pairs.
EXCESS = 3.0
# Scores from this fraction of a score up to it are "just below" it.
NEAR_BELOW = 0.8
# Interval in which the power law is fitted: above the scores of copies, and with few enough pairs to count them all.
STRANGER_SCORES = (0.2, 0.25, 0.3)
# Pairs with a larger distance before alignment, relative to their detail, are not aligned: they are no copies.
LARGEST_DISTANCE = 0.5
# Approximate limit of the pairs that are aligned.
MAX_CANDIDATES = 1_000_000
# Number of pictures in which the power law and the limit of distances are estimated.
NUM_SAMPLED = 4000
# Number of principal axes in which candidates are searched.
NUM_AXES = 32
# Rows per block of a matrix product, which limits memory.
BLOCK = 2048
_MAX_SHIFT = 0.45  # of a thumbprint's pixel: a crop of about 5 %
_MAX_ASPECT = 0.1


@dataclass(frozen=True)
class NearDuplicates:
    """M pairs of near duplicates, by rising score."""

    pairs_M2: npt.NDArray[np.int64]
    """Indices of both pictures in the facts, the smaller first."""

    scores_M: Floats
    """Score of each pair."""

    threshold: float
    """Largest accepted score."""

    expected: float
    """Expected number of stranger pairs up to the threshold."""

    def groups(self, num_places: int) -> npt.NDArray[np.int64]:
        """Group number of each of `num_places` pictures (N): connected components, numbered by their least index."""
        group_N = np.arange(num_places)
        while True:
            least_M = group_N[self.pairs_M2].min(axis=1, keepdims=True)
            if (group_N[self.pairs_M2] == least_M).all():
                return group_N
            np.minimum.at(group_N, self.pairs_M2, np.repeat(least_M, 2, axis=1))
            group_N = group_N[group_N]


def near_duplicates(facts: PictureFacts) -> NearDuplicates:
    """Near duplicates among the usable pictures that are not blank and have different bytes.

    facts: with details. Pictures with equal bytes are represented by the first of them.
    """
    prints = _Prints(facts, _representatives(facts))
    sampled = np.linspace(0, len(prints) - 1, min(len(prints), NUM_SAMPLED)).round().astype(np.int64)
    pairs_M2, distances_M = _candidates(prints, sampled, LARGEST_DISTANCE)
    scale = (len(prints) / max(1, len(sampled))) ** 2
    law = _PowerLaw.fit(prints.scores(pairs_M2), scale)
    if len(sampled) < len(prints):
        wanted = int(MAX_CANDIDATES / scale)
        cut = LARGEST_DISTANCE if len(distances_M) <= wanted else float(np.partition(distances_M, wanted)[wanted])
        pairs_M2, _ = _candidates(prints, np.arange(len(prints)), cut)
    scores_M = prints.scores(pairs_M2)
    is_near = (scores_M <= LARGEST_SCORE) & prints.similar_aspect(pairs_M2)
    order = np.argsort(scores_M[is_near], kind="stable")
    scores_M, pairs_M2 = scores_M[is_near][order], pairs_M2[is_near][order]
    num = _num_trusted(scores_M, law)
    threshold = LARGEST_SCORE if num == len(scores_M) else float(scores_M[num - 1]) if num else 0.0
    pairs_M2 = np.sort(prints.places_N[pairs_M2[:num]], axis=1)
    return NearDuplicates(pairs_M2, scores_M[:num], threshold, float(law.expected(threshold)))


def _representatives(facts: PictureFacts) -> Array:
    """Indices (n) of the usable, not blank pictures with thumbprints, one for each content digest."""
    places_N = np.flatnonzero(facts.usable_N & facts.printed_N & ((facts.traits_N & int(Trait.BLANK)) == 0))
    _, first = np.unique(facts.digests_N16[places_N], axis=0, return_index=True)
    return places_N[np.sort(first)]


@dataclass(frozen=True)
class _PowerLaw:
    """Expected number of stranger pairs with a score up to s: factor * s ** slope."""

    factor: float
    slope: float

    @classmethod
    def fit(cls, scores_M: Array, scale: float) -> _PowerLaw:
        """The law of the scores in STRANGER_SCORES. scale: number of all pairs per sampled pair."""
        low, middle, high = STRANGER_SCORES
        inner, outer = (np.count_nonzero((scores_M > low) & (scores_M <= end)) for end in (middle, high))
        if outer == 0:
            return cls(0.0, 1.0)
        # The slope is the one that gives the observed share of pairs in the lower part of the interval.
        slopes = np.linspace(1.0, 24.0, 231)
        shares = (middle**slopes - low**slopes) / (high**slopes - low**slopes)
        slope = float(slopes[np.argmin(np.abs(shares - inner / outer))])
        return cls(scale * outer / (high**slope - low**slope), slope)

    def expected(self, scores: Array | float) -> Array:
        return self.factor * np.asarray(scores, np.float64) ** self.slope


def _num_trusted(scores_M: Floats, law: _PowerLaw) -> int:
    """Number of the sorted scores up to the last at which pairs exceed expected strangers, in all and just below it.

    The condition just below prevents that many pairs with a score of 0.05 make one of 0.15 acceptable.
    """
    lower_M = NEAR_BELOW * scores_M
    rank_M = np.arange(1, len(scores_M) + 1)
    just_below_M = rank_M - np.searchsorted(scores_M, lower_M)
    strangers_M = law.expected(scores_M)
    in_all = rank_M >= EXCESS * strangers_M
    here = just_below_M >= EXCESS * (strangers_M - law.expected(lower_M))
    trusted = np.flatnonzero(in_all & here)
    return int(trusted[-1]) + 1 if len(trusted) else 0


class _Prints:
    """Blurred thumbprints of the pictures at `places_N`, with their detail: norm of the change by shift and zoom."""

    def __init__(self, facts: PictureFacts, places_N: Array) -> None:
        self.facts, self.places_N = facts, places_N
        self.detail_N = np.empty(len(places_N), np.float32)
        self.axes_N = np.empty((len(places_N), 0), np.float32)
        blocks = range(0, len(places_N), BLOCK)
        for start in blocks:
            rows = slice(start, start + BLOCK)
            tangents = _tangents(self.luminance(np.arange(len(places_N))[rows]))
            # One grey level more, so that a picture without any detail does not divide by zero.
            self.detail_N[rows] = np.sqrt((tangents**2).sum(axis=(1, 2))) + 1
        self._project(blocks)

    def __len__(self) -> int:
        return len(self.places_N)

    def luminance(self, rows: Array) -> Floats:
        """Blurred luminance (n, side, side), scaled so that the Euclidean norm is the root mean square over pixels."""
        values = self.facts.prints_NP[self.places_N[rows], : PRINT_SIDE**2].astype(np.float32) / PRINT_SIDE
        return blurred(values.reshape(-1, PRINT_SIDE, PRINT_SIDE))

    def vectors(self, rows: Array) -> Floats:
        """Vectors (n, D) of luminance and chroma. The luminance lacks its rim, because a crop changes the rim most."""
        chroma = self.facts.prints_NP[self.places_N[rows], PRINT_SIDE**2 :].astype(np.float32) * (2 / PRINT_SIDE)
        return np.concatenate([_inside(self.luminance(rows)).reshape(len(rows), (PRINT_SIDE - 2) ** 2), chroma], axis=1)

    def _project(self, blocks: range) -> None:
        """Project all vectors on the NUM_AXES principal axes.

        Projected distances are never larger than the true ones, and cost a seventh.
        """
        sampled = self.vectors(np.unique(np.linspace(0, len(self) - 1, min(len(self), NUM_SAMPLED)).astype(np.int64)))
        if not len(sampled):
            return
        mean_D = sampled.mean(axis=0)
        _, axes_DD = np.linalg.eigh(np.cov((sampled - mean_D).T) if len(sampled) > 1 else np.eye(len(mean_D)))
        axes = axes_DD[:, -NUM_AXES:].astype(np.float32)
        self.axes_N = np.empty((len(self), axes.shape[1]), np.float32)
        for start in blocks:
            rows = np.arange(start, min(start + BLOCK, len(self)))
            self.axes_N[rows] = (self.vectors(rows) - mean_D) @ axes

    def axes_and_squares(self, rows: Array) -> tuple[Floats, Floats]:
        """Projected vectors (n, NUM_AXES), and their squared norms (n, 1)."""
        axes_N = self.axes_N[rows]
        return axes_N, (axes_N**2).sum(axis=1, keepdims=True)

    def scores(self, pairs_M2: Array) -> Floats:
        """Scores (M): tangent distance of each pair, relative to the larger detail of its two pictures."""
        blocks = [self._scores(pairs_M2[start : start + BLOCK]) for start in range(0, len(pairs_M2), BLOCK)]
        return np.concatenate([np.empty(0, np.float32), *blocks])

    def _scores(self, pairs_M2: Array) -> Floats:
        first, second = pairs_M2.T
        tangents_M4D = _tangents((self.luminance(first) + self.luminance(second)) / 2)
        changes_MD = self.vectors(second) - self.vectors(first)
        num = tangents_M4D.shape[2]
        products_M44 = tangents_M4D @ tangents_M4D.transpose(0, 2, 1)
        # Least squares for the four changes, with damping that keeps pictures of little detail solvable.
        damping_M = 1e-3 * np.trace(products_M44, axis1=1, axis2=2) / 4 + 1e-6
        products_M44 += damping_M[:, None, None] * np.eye(4, dtype=np.float32)
        shifts_M4 = np.linalg.solve(products_M44, tangents_M4D @ changes_MD[:, :num, None])[..., 0]
        shifts_M4 = shifts_M4.clip(-_MAX_SHIFT, _MAX_SHIFT)
        changes_MD[:, :num] -= (shifts_M4[:, None, :] @ tangents_M4D)[:, 0]
        detail_M = np.maximum(self.detail_N[first], self.detail_N[second])
        return np.asarray(np.linalg.norm(changes_MD, axis=1) / detail_M, np.float32)

    def similar_aspect(self, pairs_M2: Array) -> Array:
        """Whether the aspect ratios of each pair (M) differ by about 10 % at most."""
        sizes_N2 = self.facts.sizes_N2[self.places_N].astype(np.float64)
        aspect_N = np.log(sizes_N2[:, 0] / sizes_N2[:, 1])
        return np.asarray(np.abs(aspect_N[pairs_M2[:, 0]] - aspect_N[pairs_M2[:, 1]]) <= _MAX_ASPECT)


def _candidates(prints: _Prints, rows: Array, cut: float) -> tuple[Array, Floats]:
    """Pairs (M, 2) among `rows` whose projected distance is at most `cut` times the larger detail, and that ratio (M).

    Rows are sorted by detail, so that the second row of a pair has the larger one. Squared distance and limit then fit
    into one matrix product, whose sign decides.
    """
    rows = rows[np.argsort(prints.detail_N[rows], kind="stable")]
    detail_N = prints.detail_N[rows]
    pairs, shares = [np.empty((0, 2), np.int64)], [np.empty(0, np.float32)]
    for i in range(0, len(rows), BLOCK):
        axes, squares_N1 = prints.axes_and_squares(rows[i : i + BLOCK])
        left = np.concatenate([2 * axes, -squares_N1, -np.ones_like(squares_N1)], axis=1)
        for j in range(i, len(rows), BLOCK):
            axes, squares_N1 = prints.axes_and_squares(rows[j : j + BLOCK])
            limits_N1 = squares_N1 - (cut * detail_N[j : j + BLOCK, None]) ** 2
            margins = left @ np.concatenate([axes, np.ones_like(squares_N1), limits_N1], axis=1).T
            first, second = np.divmod(np.flatnonzero(margins >= 0), margins.shape[1])
            is_new = i + first < j + second
            first, second = first[is_new], second[is_new]
            squares = (cut * detail_N[j + second]) ** 2 - margins[first, second]
            pairs.append(np.stack([rows[i + first], rows[j + second]], axis=1))
            shares.append(np.sqrt(squares.clip(0)) / detail_N[j + second])
    return np.concatenate(pairs), np.concatenate(shares)


def _tangents(luminance_NSS: Array) -> Array:
    """Derivatives (N, 4, D) of the inner pixels by shift (right, down) and by zoom (along both axes)."""
    down_NSS, right_NSS = np.gradient(luminance_NSS, axis=(1, 2))
    place_S = (np.arange(PRINT_SIDE, dtype=np.float32) - (PRINT_SIDE - 1) / 2) / (PRINT_SIDE / 2)
    changes = (right_NSS, down_NSS, right_NSS * place_S, down_NSS * place_S[:, None])
    tangents = np.stack([_inside(change) for change in changes], axis=1)
    return np.asarray(tangents.reshape(len(tangents), 4, -1))


def _inside(values_NSS: Array) -> Array:
    return values_NSS[:, 1:-1, 1:-1]


def blurred(luminance_NSS: Array) -> Array:
    """The luminance (N, S, S) blurred by binomial weights 1 4 6 4 1 along both axes; the rim is repeated."""
    return np.asarray(_BLUR @ luminance_NSS @ _BLUR.T)


def _blur_matrix() -> Floats:
    """Blur along one axis as a matrix (S, S): weights 1 2 1 applied twice."""
    once = np.zeros((PRINT_SIDE, PRINT_SIDE), np.float32)
    for row in range(PRINT_SIDE):
        for step, weight in ((-1, 0.25), (0, 0.5), (1, 0.25)):
            once[row, min(max(row + step, 0), PRINT_SIDE - 1)] += weight
    return once @ once


_BLUR = _blur_matrix()
