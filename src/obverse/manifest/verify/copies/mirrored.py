"""Detection of two classes that are each other's mirror image, which training with mirroring would confuse.

The evidence is one of two:

- The names: one becomes the other by exchanging words for directions (`left`, `right`).
- The pictures: a probe trained on other samples assigns most mirrored pictures of each of the two classes to the other
  one, and a second probe cannot distinguish them from pictures of that class.

Without such evidence mirroring does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obverse.imaging import CHROMA_SIDE, PRINT_SIDE
from obverse.manifest.sample import Sample
from obverse.manifest.verify.facts import Array, PictureFacts
from obverse.manifest.verify.probe import out_of_fold, skill

from .near import blurred

DIRECTIONS = (
    ("left", "right"), ("l", "r"), ("links", "rechts"), ("linke", "rechte"), ("gauche", "droite"), ("gauche", "droit"),
    ("izquierda", "derecha"), ("izquierdo", "derecho"), ("sinistra", "destra"), ("sinistro", "destro"),
    ("esquerda", "direita"), ("esquerdo", "direito"), ("vänster", "höger"), ("venstre", "højre"), ("venstre", "høyre"),
    ("lewo", "prawo"), ("lewy", "prawy"), ("lewa", "prawa"), ("лево", "право"), ("левый", "правый"), ("左", "右"),
    ("clockwise", "counterclockwise"), ("clockwise", "anticlockwise"), ("cw", "ccw"),
)  # fmt: skip
"""Pairs of words for opposite directions."""
# Least number of samples of a class that is probed.
LEAST_PER_CLASS = 10
# Least share of each class that the probe assigns as expected, compared with the lower end of an interval of Z standard
# errors.
LEAST_SHARE, Z = 0.5, 3.0
# Largest accuracy of a probe that cannot distinguish two classes; 0.5 is chance.
MOST_APART = 0.75
# Ridge penalty of the probes.
RIDGE = 30.0


@dataclass(frozen=True)
class MirroredClasses:
    """Two classes that are each other's mirror image."""

    first: str

    second: str

    evidence: str
    """`by their names` or `by their pictures`."""


def mirrored_classes(
    classes: Sequence[str], samples: Sequence[Sample], facts: PictureFacts, views: Sequence[str]
) -> MirroredClasses | None:
    """A pair of mirrored classes among the training samples, or None. Only pictures with thumbprints are probed."""
    if pair := _by_names(classes):
        return MirroredClasses(*pair, "by their names")
    for view in views:
        if pair := _by_pictures(samples, facts, view):
            return MirroredClasses(*pair, "by their pictures")
    return None


def _by_names(classes: Sequence[str]) -> tuple[str, str] | None:
    spelled = {_spelled(name): name for name in classes}
    for key, name in spelled.items():
        for pair in DIRECTIONS:
            for here, there in (pair, pair[::-1]):
                # A short word, such as `l` or `cw`, must be a whole word of the name.
                alone = rf"(?<![^\W_]){here}(?![^\W_])" if len(here) < 4 and here.isascii() else here
                other = spelled.get(re.sub(alone, there, key))
                if other is not None and other != name:
                    return name, other
    return None


def _spelled(name: str) -> str:
    """Comparison key of a class name: case-folded, words separated by `_`; equal for `TurnLeft` and `turn_left`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).casefold()


def _by_pictures(samples: Sequence[Sample], facts: PictureFacts, view: str) -> tuple[str, str] | None:
    rows = [(facts.place_of[s.views[view]], s.label) for s in samples if view in s.views]
    rows = [(place, label) for place, label in rows if facts.printed_N[place]]
    names = sorted({label for _, label in rows})
    number_of = {name: number for number, name in enumerate(names)}
    labels_N = np.array([number_of[label] for _, label in rows], np.int64)
    if len(names) < 2 or np.bincount(labels_N).max() < LEAST_PER_CLASS:
        return None
    prints_NP = facts.prints_NP[[place for place, _ in rows]]
    plain_ND, mirrored_ND = _features(prints_NP), _features(prints_NP, is_mirrored=True)
    number = len(names)
    both = (plain_ND, mirrored_ND)
    known_N, turned_N = (
        out_of_fold(plain_ND, labels_N, number, ridge=RIDGE, scored_ND=scored).argmax(1) for scored in both
    )
    known_KK, turned_KK = (_least_shares(labels_N, answers, number) for answers in (known_N, turned_N))
    taken_K = turned_KK.argmax(1)
    for first, second in enumerate(taken_K.tolist()):
        if first >= second or taken_K[second] != first:
            continue
        shares = (known_KK[first, first], known_KK[second, second], turned_KK[first, second], turned_KK[second, first])
        if min(shares) > LEAST_SHARE and _look_alike(mirrored_ND[labels_N == first], plain_ND[labels_N == second]):
            return names[first], names[second]
    return None


def _look_alike(mirrored_MD: Array, plain_MD: Array) -> bool:
    """Whether a probe hardly distinguishes the mirrored pictures of one class (M, D) from pictures of the other (M, D).

    The first probe must assign mirrored pictures to some class even if they resemble none; this check excludes that.
    """
    labels_M = np.repeat([0, 1], [len(mirrored_MD), len(plain_MD)])
    return skill(np.concatenate([mirrored_MD, plain_MD]), labels_M, 2, ridge=RIDGE).accuracy <= MOST_APART


def _least_shares(labels_N: Array, answers_N: Array, number: int) -> Array:
    """Lower bounds (K, K) of the confusion rates, by Laplace's rule of succession and a normal interval."""
    hits_KK = np.zeros((number, number))
    np.add.at(hits_KK, (labels_N, answers_N), 1)
    counts_K1 = hits_KK.sum(1, keepdims=True)
    shares_KK = (hits_KK + 1) / (counts_K1 + 2)
    lows_KK = shares_KK - Z * np.sqrt(shares_KK * (1 - shares_KK) / counts_K1.clip(1))
    return np.asarray(np.where(counts_K1 >= LEAST_PER_CLASS, lows_KK, 0.0))


def _features(prints_NP: Array, *, is_mirrored: bool = False) -> Array:
    """Features: luminance and colour per pixel, and asymmetry moments for objects that lie anywhere."""
    luminance_NSS = prints_NP[:, : PRINT_SIDE**2].astype(np.float64).reshape(-1, PRINT_SIDE, PRINT_SIDE)
    chroma_N2CC = prints_NP[:, PRINT_SIDE**2 :].astype(np.float64).reshape(-1, 2, CHROMA_SIDE, CHROMA_SIDE)
    if is_mirrored:
        luminance_NSS, chroma_N2CC = luminance_NSS[..., ::-1], chroma_N2CC[..., ::-1]
    detail_NSS = np.abs(luminance_NSS - blurred(luminance_NSS))
    apart_NSS = np.abs(luminance_NSS - np.median(luminance_NSS, axis=(1, 2), keepdims=True))
    parts = (luminance_NSS, chroma_N2CC, _lopsided(detail_NSS), _lopsided(apart_NSS))
    return np.concatenate([part.reshape(len(prints_NP), -1) for part in parts], axis=1)


def _lopsided(weights_NSS: Array) -> Array:
    """Dimensionless central moments (N, 5) that change under mirroring."""
    places_S = np.arange(PRINT_SIDE) + 0.5
    shares_NSS = weights_NSS / (weights_NSS.sum(axis=(1, 2), keepdims=True) + 1e-6)
    x_NS = places_S - (shares_NSS.sum(1) @ places_S)[:, None]
    y_NS = places_S - (shares_NSS.sum(2) @ places_S)[:, None]

    def moment(down: int, right: int) -> Array:
        return np.asarray(np.einsum("nyx,ny,nx->n", shares_NSS, y_NS**down, x_NS**right))

    spread_x, spread_y = np.sqrt(moment(0, 2) + 1e-6), np.sqrt(moment(2, 0) + 1e-6)
    powers = ((0, 3), (2, 1), (1, 2), (1, 1), (1, 3))
    return np.stack([moment(d, r) / (spread_y**d * spread_x**r) for d, r in powers], axis=1)
