"""Search for weak slices: sets of samples with a common attribute on which the model is worse than on the rest.

Many slices are looked at, so chance alone makes some look weak. A slice is named where its permutation test is
significant after Holm's correction over all slices examined, and where the weakness is found on one half of the units
and confirmed on the other, in most of several random halvings.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from obverse.evaluation import LEVEL, holm
from obverse.metrics import FloatArray, IntArray, Units, spread

from .attributes import Attribute
from .losses import Losses
from .permutation import BoolArray, is_worse_p

# Units (groups, or single samples) that a slice and its rest must have.
LEAST_UNITS = 10
MOST_EXAMINED = 300
MOST_NAMED = 10
NUM_HALVINGS, NUM_HALF_DRAWS = 20, 499
# Share of the smaller of two slices, in the other, from which they are named as one.
SAME_SAMPLES = 0.8
POWER = 0.8


@dataclass(frozen=True)
class WeakSlice:
    """A slice on which the model is worse than on the other samples whose attribute is known."""

    attribute: str

    words: str
    """What its samples have in common."""

    num_samples: int
    num_units: int
    loss: float
    rest: float

    low: float
    """Lower end of the 95 % interval of the difference, loss - rest."""

    high: float
    """Its upper end."""

    p_value: float
    """One-sided, adjusted for all slices examined."""

    also: tuple[str, ...] = ()
    """Other weak slices that share most of their samples with this one."""

    @property
    def difference(self) -> float:
        """How much worse the slice is."""
        return self.loss - self.rest


@dataclass(frozen=True)
class Slices:
    """Result of the search."""

    attributes: tuple[str, ...]
    """Attributes with at least one slice that was examined."""

    num_examined: int

    weak: tuple[WeakSlice, ...]
    """The weak slices, worst first."""

    usual_size: int | None
    """Median number of samples of the slices examined; None without slices."""

    detectable: float | None
    """Difference that a slice of that size must have to be found with a chance of POWER; None without slices."""

    is_cut: bool = False
    """Whether there were more than MOST_EXAMINED slices, of which the first were examined."""


@dataclass(frozen=True, eq=False)
class _Candidate:
    attribute: str
    words: str
    known_N: BoolArray
    in_slice_N: BoolArray
    also: tuple[str, ...] = ()


def find_slices(losses: Losses, units: Units, attributes: Iterable[Attribute], *, seed: int = 0) -> Slices:
    """The weak slices among those of the attributes."""
    every = _candidates(attributes, units)
    candidates, generator = every[:MOST_EXAMINED], np.random.default_rng(seed)
    parts = [(losses.values_N[c.known_N], c.in_slice_N[c.known_N], units.take(c.known_N)) for c in candidates]
    adjusted = holm([is_worse_p(*part, generator) for part in parts])
    order = sorted((place for place, p in enumerate(adjusted) if p <= LEVEL), key=adjusted.__getitem__)
    confirmed = [place for place in order[: 2 * MOST_NAMED] if _is_confirmed(*parts[place], generator)]
    weak = [
        _measured(candidate, losses, units, p_value)
        for candidate, p_value in _without_overlap([(candidates[place], adjusted[place]) for place in confirmed])
    ]
    sizes = [int(candidate.in_slice_N.sum()) for candidate in candidates]
    usual = int(np.median(sizes)) if sizes else None
    return Slices(
        tuple(dict.fromkeys(candidate.attribute for candidate in candidates)),
        len(candidates),
        tuple(sorted(weak, key=lambda one: -one.difference)[:MOST_NAMED]),
        usual,
        None if usual is None else detectable(losses, units, usual, len(candidates)),
        len(every) > MOST_EXAMINED,
    )


def detectable(losses: Losses, units: Units, size: int, num_examined: int) -> float:
    """Difference in mean loss that is found with a chance of POWER, by a slice of `size` samples among several."""
    mean, num, normal = float(losses.values_N.mean()), len(losses.values_N), NormalDist()
    variance = spread((losses.values_N - mean) / num, units).variance * num
    # Of a loss that is the same for all samples, nothing is known but that it varies less than in one sample.
    variance = max(variance, 1.0 / num) if math.isfinite(variance) else 1.0
    # In standard errors: what Holm's correction asks of the worst slice, and what most halvings do, whose halves
    # each need the plain level although they differ by chance.
    corrected = normal.inv_cdf(1 - LEVEL / max(1, num_examined))
    halved = math.sqrt(2) * normal.inv_cdf(1 - LEVEL) + normal.inv_cdf(0.75)
    difference = 0.0
    for _ in range(20):
        # Losses vary more where their mean is nearer to the middle, as those of a weak slice are: that of errors so.
        moved = min(mean + difference, losses.most / 2)
        more = max(1.0, moved * (losses.most - moved) / max(1.0 / num, mean * (losses.most - mean)))
        error = math.sqrt(variance * (more / size + 1 / max(1, num - size)))
        difference = error * (max(corrected, halved) + normal.inv_cdf(POWER))
    return difference


def _candidates(attributes: Iterable[Attribute], units: Units) -> list[_Candidate]:
    """The slices with enough units on both sides; slices of the very same samples are one."""
    by_samples: dict[bytes, _Candidate] = {}
    for attribute in attributes:
        known_N = attribute.slice_N >= 0
        for place, words in enumerate(attribute.words):
            in_slice_N = attribute.slice_N == place
            if min(_num_units(units, in_slice_N), _num_units(units, known_N & ~in_slice_N)) < LEAST_UNITS:
                continue
            key = np.packbits(in_slice_N).tobytes() + np.packbits(known_N).tobytes()
            earlier = by_samples.setdefault(key, _Candidate(attribute.name, words, known_N, in_slice_N))
            if words not in (earlier.words, *earlier.also):
                by_samples[key] = replace(earlier, also=(*earlier.also, words))
    return list(by_samples.values())


def _num_units(units: Units, rows_N: BoolArray) -> int:
    return len(np.unique(units.of_N[rows_N])) if units.are_groups else int(rows_N.sum())


def _is_confirmed(losses_N: FloatArray, in_slice_N: BoolArray, units: Units, generator: np.random.Generator) -> bool:
    """Whether both halves of the units show the weakness, in most of several random halvings."""
    num_confirmed = 0
    for _ in range(NUM_HALVINGS):
        half_N = _halves(in_slice_N, units, generator)[units.of_N]
        num_confirmed += all(
            _has_both(in_slice_N[rows_N])
            and is_worse_p(
                losses_N[rows_N], in_slice_N[rows_N], units.take(rows_N), generator, num_draws=NUM_HALF_DRAWS
            )
            <= LEVEL
            for rows_N in (half_N == 0, half_N == 1)
        )
    return 2 * num_confirmed >= NUM_HALVINGS


def _halves(in_slice_N: BoolArray, units: Units, generator: np.random.Generator) -> IntArray:
    """A random half, 0 or 1, for each unit (G), with as many units of the slice in each as possible."""
    has_slice_G = np.bincount(units.of_N, in_slice_N, minlength=units.num) > 0
    order_G = np.lexsort((generator.random(units.num), has_slice_G))
    half_G = np.empty(units.num, np.int64)
    half_G[order_G] = np.arange(units.num) % 2
    return half_G


def _has_both(in_slice_N: BoolArray) -> bool:
    return bool(in_slice_N.any() and not in_slice_N.all())


def _without_overlap(candidates: Iterable[tuple[_Candidate, float]]) -> list[tuple[_Candidate, float]]:
    """The candidates without those that share most samples with one before, which names them."""
    kept: list[tuple[_Candidate, float]] = []
    for candidate, p_value in candidates:
        for place, (earlier, its_p) in enumerate(kept):
            shared = int((candidate.in_slice_N & earlier.in_slice_N).sum())
            if shared >= SAME_SAMPLES * min(int(candidate.in_slice_N.sum()), int(earlier.in_slice_N.sum())):
                also = (*earlier.also, candidate.words, *candidate.also)
                kept[place] = (replace(earlier, also=also), its_p)
                break
        else:
            kept.append((candidate, p_value))
    return kept


def _measured(candidate: _Candidate, losses: Losses, units: Units, p_value: float) -> WeakSlice:
    """The slice with its interval: the two sides' own intervals joined (MOVER: Zou & Donner 2008)."""
    inside_N, outside_N = candidate.in_slice_N, candidate.known_N & ~candidate.in_slice_N
    (loss, low, high), (rest, its_low, its_high) = (losses.mean(units, rows_N) for rows_N in (inside_N, outside_N))
    return WeakSlice(
        candidate.attribute,
        candidate.words,
        int(inside_N.sum()),
        _num_units(units, inside_N),
        loss,
        rest,
        loss - rest - math.hypot(loss - low, its_high - rest),
        loss - rest + math.hypot(high - loss, rest - its_low),
        p_value,
        candidate.also,
    )
