"""Resampling of metric differences between two sides (each one run or several, S) on the same samples.

Metrics that are functions of counts (the confusion matrix; hits, labels and answers of each class) are recomputed from
the counts of every resample. Every other metric is a mean of one value per sample (`Measure.of_samples`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from .answers import LabelSets, OneLabel
from .counts import FloatArray, IntArray
from .registry import compared, too_few
from .units import Units

Side = Sequence[OneLabel | LabelSets]

MOST_VALUES = 2**18
"""Numbers that are computed with at once: resamples times samples, or times the cells of a confusion matrix."""


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
        # For each side, the values per sample of each mean metric and run (M, S, N).
        self.values = [np.stack([np.stack([of(run) for run in side]) for of in means]) for side in self.sides]

    def point(self) -> FloatArray:
        """Differences on the samples themselves (M)."""
        once_1N = np.ones((1, len(self.units.of_N)), np.int64)
        point_M: FloatArray = self._measured(once_1N, [np.arange(len(side))[None] for side in self.sides])[0]
        return point_M

    def bootstrap(self, num: int, seed: int) -> FloatArray:
        """Differences on bootstrap resamples (R, M): units (groups or samples) and runs, drawn with replacement."""
        generator, sizes = np.random.default_rng(seed), tuple(map(len, self.sides))
        shares_G = np.full(self.units.num, 1 / self.units.num)

        def draw() -> tuple[IntArray, list[IntArray]]:
            return generator.multinomial(self.units.num, shares_G), [generator.integers(n, size=n) for n in sizes]

        blocks = []
        for size in self._blocks(num):
            counts, rows = zip(*(draw() for _ in range(size)), strict=True)
            by_side = [np.stack(side) for side in zip(*rows, strict=True)]
            blocks.append(self._measured(np.stack(counts)[:, self.units.of_N], by_side))
        return np.concatenate(blocks)

    def permute(self, num: int, seed: int) -> FloatArray:
        """Differences with the answers of two single runs exchanged in a random half of the groups (R, M)."""
        generator, (base, other) = np.random.default_rng(seed), (side[0] for side in self.sides)
        base_MN, other_MN = (values_MSN[:, 0] for values_MSN in self.values)
        blocks = []
        for size in self._blocks(num):
            swaps_RN = generator.integers(2, size=(size, self.units.num))[:, self.units.of_N]
            own_RM, swapped_RM = (
                self._scores(first.counted(1 - swaps_RN) + second.counted(swaps_RN),
                             (1 - swaps_RN) @ first_MN.T + swaps_RN @ second_MN.T, swaps_RN.shape[1])
                for first, second, first_MN, second_MN in (
                    (base, other, base_MN, other_MN), (other, base, other_MN, base_MN)
                )
            )  # fmt: skip
            blocks.append(swapped_RM - own_RM)
        return np.concatenate(blocks)

    def _blocks(self, num: int) -> Iterator[int]:
        """Sizes of blocks, together `num`."""
        size = max(1, MOST_VALUES // max(len(self.units.of_N), self.sides[0][0].num_classes ** 2))
        for start in range(0, num, size):
            yield min(size, num - start)

    def _measured(self, counts_RN: IntArray, rows: Sequence[IntArray]) -> FloatArray:
        """Differences (R, M). counts_RN: how often each sample counts. rows: of each side, its runs (R, S)."""
        num_R1 = counts_RN.sum(axis=1, keepdims=True)
        means = []
        for side, values_MSN, rows_RS in zip(self.sides, self.values, rows, strict=True):
            scores_RSM = np.stack(
                [
                    self._scores(run.counted(counts_RN), counts_RN @ values_MSN[:, row].T, num_R1)
                    for row, run in enumerate(side)
                ],
                axis=1,
            )
            means.append(np.take_along_axis(scores_RSM, rows_RS[:, :, None], axis=1).mean(axis=1))
        difference_RM: FloatArray = means[1] - means[0]
        return difference_RM

    def _scores(self, counted: IntArray, sums_RM: FloatArray, num_R1: IntArray | int) -> FloatArray:
        """Every metric of one run on resamples (R, M). counted: its `counted`. sums_RM: of values per sample."""
        of_counts = [of(counted) for of in self.statistics]
        return np.stack([*of_counts, *(sums_RM / num_R1).T], axis=1)
