"""Resampling of metric differences between two sides (each one run or several) on the same samples.

Metrics that are functions of counts (the confusion matrix; hits, labels and answers of each class) are recomputed from
the counts of every resample. Every other metric is a mean of one value per sample (`Measure.of_samples`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .answers import LabelSets, OneLabel
from .counts import FloatArray, IntArray
from .registry import compared, too_few
from .units import Units

Side = Sequence[OneLabel | LabelSets]


class Resampler:
    """Differences other - base of each of `metrics` (M), on the samples and on resamples (R)."""

    def __init__(self, base: Side, other: Side, units: Units) -> None:
        self.units, self.sides = units, (base, other)
        left_out = too_few(replace(base[0], units=units))
        known = [m for m in compared(label_sets=isinstance(base[0], LabelSets)) if m.applies_to(base[0])]
        measures = [(metric, metric.measure_for(base[0])) for metric in known if metric.name not in left_out]
        self.statistics = [measure.of_counts for _, measure in measures if measure.of_counts]
        means = [measure.of_samples for _, measure in measures if measure.of_samples]
        self.metrics = [metric for metric, measure in measures if measure.of_counts]
        self.metrics += [metric for metric, measure in measures if measure.of_samples]
        # For each side, the values per sample of each mean metric and run (M, R, N).
        self.values = [np.stack([np.stack([of(run) for run in side]) for of in means]) for side in self.sides]

    def point(self) -> FloatArray:
        """Differences on the samples themselves (M)."""
        once_N = np.ones(len(self.units.of_N), np.int64)
        return self._measured(once_N, [np.arange(len(side)) for side in self.sides])

    def bootstrap(self, num: int, seed: int) -> FloatArray:
        """Differences on bootstrap resamples (R, M): units (groups or samples) and runs, drawn with replacement."""
        generator, sizes = np.random.default_rng(seed), tuple(map(len, self.sides))
        shares_G = np.full(self.units.num, 1 / self.units.num)
        draws = []
        for _ in range(num):
            counts_N = generator.multinomial(self.units.num, shares_G)[self.units.of_N]
            draws.append(self._measured(counts_N, [generator.integers(n, size=n) for n in sizes]))
        return np.array(draws)

    def permute(self, num: int, seed: int) -> FloatArray:
        """Differences with the answers of two single runs exchanged in a random half of the groups (R, M)."""
        generator, once_N = np.random.default_rng(seed), np.ones(len(self.units.of_N), np.int64)
        (base,), (other,) = self.sides
        base_MN, other_MN = (values_MRN[:, 0] for values_MRN in self.values)
        both = base.counted(once_N) + other.counted(once_N)
        draws = []
        for _ in range(num):
            swaps_N = generator.integers(2, size=self.units.num)[self.units.of_N]
            counts = base.counted(1 - swaps_N) + other.counted(swaps_N)
            pairs = ((base_MN, other_MN, counts), (other_MN, base_MN, both - counts))
            sides_M = [
                self._scores([counted], np.where(swaps_N, swapped_MN, own_MN)[:, None], once_N)
                for own_MN, swapped_MN, counted in pairs
            ]
            draws.append(sides_M[1] - sides_M[0])
        return np.array(draws)

    def _measured(self, counts_N: IntArray, runs: Sequence[IntArray]) -> FloatArray:
        base_M, other_M = (
            self._scores([side[row].counted(counts_N) for row in rows.tolist()], values_MRN[:, rows], counts_N)
            for side, values_MRN, rows in zip(self.sides, self.values, runs, strict=True)
        )
        return other_M - base_M

    def _scores(self, counts: Sequence[IntArray], values_MRN: FloatArray, counts_N: IntArray) -> FloatArray:
        """The mean of every metric over runs (M). counts: result of `counted` for each run."""
        of_counts = [float(np.mean([of(counted) for counted in counts])) for of in self.statistics]
        means = [float((values_RN @ counts_N).mean() / counts_N.sum()) for values_RN in values_MRN]
        return np.array([*of_counts, *means])
