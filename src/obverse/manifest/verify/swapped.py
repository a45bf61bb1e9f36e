"""Swapped views: samples whose obverse looks like the reverses and whose reverse looks like the obverses. Advisory.

A probe learns on other samples which view a picture is, and once more with those turned round that it read the other
way, so that exchanged samples teach it nothing wrong. Silent unless it tells the views apart so surely that a sample
which it reads the other way round stands out from the spread of all the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np

from obverse.imaging import PRINT_SIDE
from obverse.manifest.sample import Finding, Sample

from .facts import Array, PictureFacts
from .near import blurred
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
    return [found for first, second in combinations(views, 2) for found in _of_pair(samples, facts, first, second)]


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
    margins_N, threshold = _read_twice(_features(facts, places_N2.T.ravel()))
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


def _read_twice(features_MD: Array) -> tuple[Array, float]:
    """Margins in units of the middle one, and the threshold; minus infinity where the probe is not sure enough.

    features_MD: of all first views, then of all second ones.
    """
    num = len(features_MD) // 2
    is_turned_N = _margins(features_MD) < 0
    if is_turned_N.mean() > MOST_MISREAD:
        return np.zeros(num), -np.inf
    order_M = np.arange(2 * num)
    order_M[np.tile(is_turned_N, 2)] = np.concatenate([num + np.flatnonzero(is_turned_N), np.flatnonzero(is_turned_N)])
    margins_N = _margins(features_MD[order_M]) * np.where(is_turned_N, -1, 1)
    middle = float(np.median(margins_N))
    if middle <= 0:
        return np.zeros(num), -np.inf
    spread = _NORMAL * float(np.median(np.abs(margins_N / middle - 1)))
    threshold = min(HIGHEST, 1 + spread * NormalDist().inv_cdf(CHANCE / num))
    return margins_N / middle, threshold if threshold >= LOWEST else -np.inf


def _margins(features_MD: Array) -> Array:
    """How much more a sample's views look like what they are called than like each other's names.

    Both views of a sample are in one fold: the probe never saw the object.
    """
    num = len(features_MD) // 2
    scores_M2 = out_of_fold(features_MD, np.repeat([0, 1], num), 2, ridge=RIDGE)
    leaning_M = scores_M2[:, 0] - scores_M2[:, 1]
    return np.asarray(leaning_M[:num] - leaning_M[num:])


def _features(facts: PictureFacts, places_M: Array) -> Array:
    """Local contrast, which light and background change least, and colour."""
    prints_MP = facts.prints_NP[places_M].astype(np.float64)
    luminance_MSS = prints_MP[:, : PRINT_SIDE**2].reshape(-1, PRINT_SIDE, PRINT_SIDE)
    detail_MSS = luminance_MSS - blurred(luminance_MSS)
    detail_MSS /= detail_MSS.std(axis=(1, 2), keepdims=True) + 1
    return np.concatenate([detail_MSS.reshape(len(places_M), -1), prints_MP[:, PRINT_SIDE**2 :]], axis=1)
