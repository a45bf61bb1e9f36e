"""Swapped views: samples whose obverse looks like the reverses and whose reverse looks like the obverses. Advisory.

A probe learns on other samples which view a picture is. Silent unless it tells the views apart so surely that a sample
that it reads the other way round stands out from the spread of all the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from obverse.imaging import PRINT_SIDE
from obverse.manifest.sample import Finding, Sample

from .facts import Array, PictureFacts
from .near import blurred
from .probe import out_of_fold

MAX_SAMPLES = 20_000
LEAST_SAMPLES = 30
# In units of the middle sample's margin: 1 is read as it should be, -1 the other way round.
THRESHOLD = -0.5
# How many samples may pass the threshold by chance, from the spread of the margins.
CHANCE = 0.2
RIDGE = 10.0
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
    margins_N = _margins(facts, places_N2)
    middle = float(np.median(margins_N))
    spread = _NORMAL * float(np.median(np.abs(margins_N - middle)))
    sigmas = (1 - THRESHOLD) * middle / max(spread, 1e-9)
    if middle <= 0 or len(both) * math.erfc(sigmas / math.sqrt(2)) / 2 > CHANCE:
        return []
    message = f"{first} and {second} look exchanged"
    return [
        Finding(
            "warning",
            "swapped-views",
            f"{message} in {both[n].id!r}",
            (both[n].views[first], both[n].views[second]),
            score=float(margins_N[n] / middle),
            threshold=THRESHOLD,
        )
        for n in np.flatnonzero(margins_N / middle < THRESHOLD).tolist()
    ]


def _margins(facts: PictureFacts, places_N2: Array) -> Array:
    """How much more a sample's views look like what they are called than like each other's names.

    Both views of a sample are in one fold: the probe never saw the object.
    """
    features_M = _features(facts, places_N2.T.ravel())
    num = len(places_N2)
    labels_M = np.repeat([0, 1], num)
    scores_M2 = out_of_fold(features_M, labels_M, 2, ridge=RIDGE)
    leaning_M = scores_M2[:, 0] - scores_M2[:, 1]
    return np.asarray(leaning_M[:num] - leaning_M[num:])


def _features(facts: PictureFacts, places_M: Array) -> Array:
    """Local contrast, which light and background change least, and colour."""
    prints_MP = facts.prints_NP[places_M].astype(np.float64)
    luminance_MSS = prints_MP[:, : PRINT_SIDE**2].reshape(-1, PRINT_SIDE, PRINT_SIDE)
    detail_MSS = luminance_MSS - blurred(luminance_MSS)
    detail_MSS /= detail_MSS.std(axis=(1, 2), keepdims=True) + 1
    return np.concatenate([detail_MSS.reshape(len(places_M), -1), prints_MP[:, PRINT_SIDE**2 :]], axis=1)
