"""Swapped views: samples whose obverse looks like the reverses and whose reverse looks like the obverses. Advisory.

A probe learns on other samples which view a picture is, and once more with those turned round that it read the other
way, so that exchanged samples teach it nothing wrong. Silent unless it tells the views apart so surely that a sample
which it reads the other way round stands out from the spread of all the others, and not because it stands on its head.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np

from obverse.imaging import CHROMA_SIDE, PRINT_SIDE
from obverse.manifest.sample import Finding, Sample
from obverse.manifest.verify.copies.near import blurred

from .facts import Array, PictureFacts
from .probe import out_of_fold

MAX_SAMPLES = 20_000
LEAST_SAMPLES = 30
# In units of the middle sample's margin: 1 is read as it should be, -1 the other way round. The threshold lies between
# these, as far down as the spread of the margins asks for.
HIGHEST, LOWEST = -0.25, -0.8
# Where the first probe misreads more, its own errors would teach the second one.
MOST_MISREAD = 0.15
# How many samples may pass the threshold by chance, from the spread of the margins.
CHANCE = 0.5
RIDGE = 30.0
_NORMAL = 1.4826  # median absolute deviation to standard deviation


def swapped_findings(samples: Sequence[Sample], facts: PictureFacts, views: Sequence[str]) -> list[Finding]:
    """Every two views are compared; needs facts with details."""
    return [finding for first, second in combinations(views, 2) for finding in _of_pair(samples, facts, first, second)]


def _of_pair(samples: Sequence[Sample], facts: PictureFacts, first: str, second: str) -> list[Finding]:
    both = [
        sample
        for sample in samples[:: 1 + len(samples) // MAX_SAMPLES]
        if first in sample.views and second in sample.views
    ]
    places_N2 = np.array([[facts.place_of[s.views[v]] for v in (first, second)] for s in both], np.int64).reshape(-1, 2)
    is_usable = np.asarray(facts.usable_N[places_N2].all(axis=1))
    both, places_N2 = [s for s, ok in zip(both, is_usable.tolist(), strict=True) if ok], places_N2[is_usable]
    if len(both) < LEAST_SAMPLES:
        return []
    margins_N, threshold = _read_twice(facts, places_N2.T.ravel())
    message = f"{first} and {second} look exchanged"
    return [
        Finding(
            "warning",
            "swapped-views",
            f"{message} in {both[n].id!r}",
            (both[n].views[first], both[n].views[second]),
            score=float(margins_N[n]),
            threshold=threshold,
        )
        for n in np.flatnonzero(margins_N < threshold).tolist()
    ]


def _read_twice(facts: PictureFacts, places_M: Array) -> tuple[Array, float]:
    """Margins in units of the middle one, and the threshold; minus infinity where the probe is not sure enough.

    places_M: of all first views, then of all second ones.
    """
    features_MD = _features(facts, places_M)
    num = len(features_MD) // 2
    is_turned_N = _margins(_leaning(features_MD)) < 0
    if is_turned_N.mean() > MOST_MISREAD:
        return np.zeros(num), -np.inf
    order_M = np.arange(2 * num)
    order_M[np.tile(is_turned_N, 2)] = np.concatenate([num + np.flatnonzero(is_turned_N), np.flatnonzero(is_turned_N)])
    leaning_M = _leaning(features_MD[order_M])
    margins_N = _margins(leaning_M) * np.where(is_turned_N, -1, 1)
    middle = float(np.median(margins_N))
    if middle <= 0:
        return np.zeros(num), -np.inf
    spread = _NORMAL * float(np.median(np.abs(margins_N / middle - 1)))
    threshold = min(HIGHEST, 1 + spread * NormalDist().inv_cdf(CHANCE / num))
    if threshold < LOWEST:
        return margins_N / middle, -np.inf
    suspects = np.flatnonzero(margins_N / middle < threshold)
    if len(suspects):
        upright = suspects[_stands_on_its_head(facts, places_M, order_M, suspects)]
        margins_N[upright] = np.abs(margins_N[upright])
    return margins_N / middle, threshold


def _stands_on_its_head(facts: PictureFacts, places_M: Array, order_M: Array, suspects: Array) -> Array:
    """Which suspects are read as what they are called, more surely than as exchanged, when both of their pictures may
    be turned by quarters: an object that was photographed upside down looks like neither view.
    """
    turned_T2S = np.stack([_turned_leaning(facts, places_M, order_M, suspects, turn) for turn in range(4)])
    first_TS, second_TS = turned_T2S[:, 0], turned_T2S[:, 1]
    is_exchanged_S = order_M[suspects] != suspects
    called_S = first_TS.max(0) - second_TS.min(0)
    exchanged_S = second_TS.max(0) - first_TS.min(0)
    return np.asarray(np.where(is_exchanged_S, exchanged_S >= called_S, called_S >= exchanged_S))


def _turned_leaning(facts: PictureFacts, places_M: Array, order_M: Array, suspects: Array, turn: int) -> Array:
    """(2, S) how much the suspects lean to the first view, both of their pictures turned by `turn` quarters."""
    num = len(places_M) // 2
    features_MD = _features(facts, places_M)
    rows = np.concatenate([suspects, num + suspects])
    features_MD[rows] = _features(facts, places_M[rows], turn)
    return np.asarray(_leaning(features_MD[order_M])[rows].reshape(2, -1))


def _leaning(features_MD: Array) -> Array:
    """How much more every picture looks like a first view than like a second one, by a probe without its fold.

    Both views of a sample are in one fold: the probe never saw the object.
    """
    scores_M2 = out_of_fold(features_MD, np.repeat([0, 1], len(features_MD) // 2), 2, ridge=RIDGE)
    return np.asarray(scores_M2[:, 0] - scores_M2[:, 1])


def _margins(leaning_M: Array) -> Array:
    """How much more a sample's views look like what they are called than like each other's names."""
    num = len(leaning_M) // 2
    return np.asarray(leaning_M[:num] - leaning_M[num:])


def _features(facts: PictureFacts, places_M: Array, turn: int = 0) -> Array:
    """Local contrast, which light and background change least, and colour; of the picture turned by quarters."""
    prints_MP = facts.prints_NP[places_M].astype(np.float64)
    luminance_MSS = prints_MP[:, : PRINT_SIDE**2].reshape(-1, PRINT_SIDE, PRINT_SIDE)
    detail_MSS = luminance_MSS - blurred(luminance_MSS)
    detail_MSS /= detail_MSS.std(axis=(1, 2), keepdims=True) + 1
    chroma_M2SS = prints_MP[:, PRINT_SIDE**2 :].reshape(-1, 2, CHROMA_SIDE, CHROMA_SIDE)
    planes = [np.rot90(plane, turn, axes=(-2, -1)).reshape(len(places_M), -1) for plane in (detail_MSS, chroma_M2SS)]
    return np.concatenate(planes, axis=1)
