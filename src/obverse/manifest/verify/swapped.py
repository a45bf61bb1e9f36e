"""Advisory findings about swapped views: samples whose obverse looks like a reverse, and vice versa.

A cross-validated probe predicts the view of a picture. It is trained twice; the views of suspects are exchanged for the
second training, so that swapped samples do not mislead it. A sample is reported only if its margin is an outlier among
all margins and a rotation of its pictures by quarters does not explain it.
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

# Approximate limit of the samples that are probed.
MAX_SAMPLES = 20_000
# Fewer samples are not probed.
LEAST_SAMPLES = 30
# Bounds of the threshold, in units of the median margin: 1 is a correct sample, -1 a swapped one. Between the bounds it
# depends on the spread of the margins.
HIGHEST, LOWEST = -0.25, -0.8
# Largest error rate of the first probe; above it, its errors would mislead the second one.
MOST_MISREAD = 0.15
# Expected number of correct samples below the threshold, from the spread of the margins.
CHANCE = 0.5
# Ridge penalty of the probe.
RIDGE = 30.0
# Standard deviation per median absolute deviation of a normal distribution.
_NORMAL = 1.4826


def swapped_findings(samples: Sequence[Sample], facts: PictureFacts, views: Sequence[str]) -> list[Finding]:
    """Findings about samples whose views look exchanged, for each pair of views. facts: with details."""
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
    """Margin of each sample (N) in units of the median, and the threshold below which a sample is swapped.

    The threshold is minus infinity if the probe is too inaccurate. places_M: indices in the facts of all first views,
    then of all second views.
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
    """Whether a rotation by quarters explains a suspect (S) at least as well as an exchange of its views.

    An object that was photographed upside down looks like neither view.
    """
    turned_T2S = np.stack([_turned_leaning(facts, places_M, order_M, suspects, turn) for turn in range(4)])
    first_TS, second_TS = turned_T2S[:, 0], turned_T2S[:, 1]
    is_exchanged_S = order_M[suspects] != suspects
    called_S = first_TS.max(0) - second_TS.min(0)
    exchanged_S = second_TS.max(0) - first_TS.min(0)
    return np.asarray(np.where(is_exchanged_S, exchanged_S >= called_S, called_S >= exchanged_S))


def _turned_leaning(facts: PictureFacts, places_M: Array, order_M: Array, suspects: Array, turn: int) -> Array:
    """Probe scores (2, S) of the suspects for the first view, with both pictures rotated by `turn` quarters."""
    num = len(places_M) // 2
    features_MD = _features(facts, places_M)
    rows = np.concatenate([suspects, num + suspects])
    features_MD[rows] = _features(facts, places_M[rows], turn)
    return np.asarray(_leaning(features_MD[order_M])[rows].reshape(2, -1))


def _leaning(features_MD: Array) -> Array:
    """Out-of-fold score of every picture for being a first view rather than a second one.

    Both views of a sample are in the same fold, so the probe is never trained on the object.
    """
    scores_M2 = out_of_fold(features_MD, np.repeat([0, 1], len(features_MD) // 2), 2, ridge=RIDGE)
    return np.asarray(scores_M2[:, 0] - scores_M2[:, 1])


def _margins(leaning_M: Array) -> Array:
    """Margin (N) of each sample: positive if its views look like their names, negative if they look exchanged."""
    num = len(leaning_M) // 2
    return np.asarray(leaning_M[:num] - leaning_M[num:])


def _features(facts: PictureFacts, places_M: Array, turn: int = 0) -> Array:
    """Features of pictures rotated by `turn` quarters: local contrast, which depends least on light, and colour."""
    prints_MP = facts.prints_NP[places_M].astype(np.float64)
    luminance_MSS = prints_MP[:, : PRINT_SIDE**2].reshape(-1, PRINT_SIDE, PRINT_SIDE)
    detail_MSS = luminance_MSS - blurred(luminance_MSS)
    detail_MSS /= detail_MSS.std(axis=(1, 2), keepdims=True) + 1
    chroma_M2SS = prints_MP[:, PRINT_SIDE**2 :].reshape(-1, 2, CHROMA_SIDE, CHROMA_SIDE)
    planes = [np.rot90(plane, turn, axes=(-2, -1)).reshape(len(places_M), -1) for plane in (detail_MSS, chroma_M2SS)]
    return np.concatenate(planes, axis=1)
