"""Augmented copies: pictures that were mirrored, rotated by quarters, brightened or speckled.

Every thumbprint is brought into a canonical orientation: the brighter halves are right and below, and the larger
difference of brightness is from left to right. Its contrast is normalised. Therefore all eight orientations of a
picture coincide, and copies are found as near duplicates by `near.py`.

Simple drawings may coincide after rotation, such as a letter and its mirror image. Therefore these pairs count only
within one label, and only if they are almost equal, or so many that the set must have been augmented.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from obverse.imaging import CHROMA_SIDE, PRINT_SIDE
from obverse.manifest.sample import Sample
from obverse.manifest.verify.facts import Array, PictureFacts

from .near import NearDuplicates, near_duplicates

# Mean and standard deviation of the luminance after normalisation.
MIDDLE, SPREAD = 128.0, 48.0
# Contrast below this is not normalised, because it is mostly noise.
LEAST_SPREAD = 4.0
BLOCK = 8192
# Nine in ten re-encoded copies score below 0.03; of 2,720 drawn characters 9 pairs of one class score 0.038 to 0.149.
SURE_SCORE = 0.03
# Pairs per picture from which all pairs count: sets that were not augmented have at most 0.005.
AUGMENTED_SHARE = 0.05


def near_copies(samples: Sequence[Sample], facts: PictureFacts) -> NearDuplicates:
    """Near duplicates in the given and in the canonical orientation; needs facts with details."""
    both = near_duplicates(facts), _believed(samples, facts, near_duplicates(_standing_alike(facts)))
    score_of: dict[tuple[int, int], float] = {}
    for near in both:
        for (first, second), score in zip(near.pairs_M2.tolist(), near.scores_M.tolist(), strict=True):
            score_of[first, second] = min(score, score_of.get((first, second), score))
    pairs = sorted(score_of, key=lambda pair: (score_of[pair], pair))
    return NearDuplicates(
        np.array(pairs, np.int64).reshape(-1, 2),
        np.array([score_of[pair] for pair in pairs], np.float32),
        max(near.threshold for near in both),
        sum(near.expected for near in both),
    )


def _believed(samples: Sequence[Sample], facts: PictureFacts, near: NearDuplicates) -> NearDuplicates:
    if not len(near.pairs_M2):
        return near
    label_of = {place: sample.label for place, sample in samples_of_pictures(samples, facts, near.pairs_M2).items()}
    is_kept_M = np.array([label_of.get(i) == label_of.get(j) for i, j in near.pairs_M2.tolist()], np.bool_)
    if np.count_nonzero(is_kept_M) < AUGMENTED_SHARE * np.count_nonzero(facts.printed_N):
        is_kept_M &= near.scores_M <= SURE_SCORE
    return replace(near, pairs_M2=near.pairs_M2[is_kept_M], scores_M=near.scores_M[is_kept_M])


def samples_of_pictures(samples: Sequence[Sample], facts: PictureFacts, pairs_M2: np.ndarray) -> dict[int, Sample]:
    """Place of a picture in the facts -> its sample, for the pictures of the pairs alone."""
    wanted = set(pairs_M2.ravel().tolist())
    if not wanted:
        return {}
    held = ((facts.place_of[path], sample) for sample in samples for path in sample.views.values())
    return {place: sample for place, sample in held if place in wanted}


def _standing_alike(facts: PictureFacts) -> PictureFacts:
    prints_NP, sizes_N2 = np.zeros_like(facts.prints_NP), facts.sizes_N2.copy()
    places_N = np.flatnonzero(facts.printed_N)
    for start in range(0, len(places_N), BLOCK):
        rows = places_N[start : start + BLOCK]
        prints_NP[rows], is_on_its_side = _upright(facts.prints_NP[rows])
        sizes_N2[rows[is_on_its_side]] = sizes_N2[rows[is_on_its_side], ::-1]
    return replace(facts, prints_NP=prints_NP, sizes_N2=sizes_N2)


def _upright(prints_NP: Array) -> tuple[Array, Array]:
    """The thumbprints in canonical orientation, and for which of them height and width were exchanged."""
    luminance_NSS = prints_NP[:, : PRINT_SIDE**2].reshape(-1, PRINT_SIDE, PRINT_SIDE).astype(np.float32)
    chroma_N2CC = prints_NP[:, PRINT_SIDE**2 :].reshape(-1, 2, CHROMA_SIDE, CHROMA_SIDE).astype(np.float32)
    place_S = np.arange(PRINT_SIDE) - (PRINT_SIDE - 1) / 2
    right_N, down_N = luminance_NSS.sum(1) @ place_S, luminance_NSS.sum(2) @ place_S
    is_on_its_side = np.abs(down_N) > np.abs(right_N)
    planes = []
    for plane in (luminance_NSS, chroma_N2CC):
        wide = (slice(None), *[None] * (plane.ndim - 1))
        turned = np.where((right_N < 0)[wide], plane[..., ::-1], plane)
        turned = np.where((down_N < 0)[wide], turned[..., ::-1, :], turned)
        planes.append(np.where(is_on_its_side[wide], turned.swapaxes(-1, -2), turned))
    mean_N11 = planes[0].mean(axis=(1, 2), keepdims=True)
    gain_N11 = SPREAD / np.maximum(planes[0].std(axis=(1, 2), keepdims=True), LEAST_SPREAD)
    even = (MIDDLE + (planes[0] - mean_N11) * gain_N11, MIDDLE + (planes[1] - MIDDLE) * gain_N11[:, None])
    whole_NP = np.concatenate([plane.reshape(len(prints_NP), -1) for plane in even], axis=1)
    return whole_NP.round().clip(0, 255).astype(np.uint8), is_on_its_side
