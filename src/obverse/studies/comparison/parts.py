"""Differences of two sides on parts of the samples: on each class, and on each slice of the manifest's columns.

A class, of one class per sample, is the samples that have it, measured by the share of right answers. Of label sets it
is all samples, measured by the share of right decisions on that class; a slice is measured by whole sets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from obverse import metrics
from obverse.evaluation import Predictions, joint_units
from obverse.manifest import Manifest
from obverse.metrics import Difference, FloatArray, holm, mean_differences

# A part with fewer samples, or groups of samples, is not tested: its interval would say nothing.
LEAST_UNITS = 10
# Values of a column up to which each is a slice; a column of more numbers is cut at its median.
MOST_VALUES = 20
NUM_RESAMPLES = 1000

Cells = Sequence[str | None]


@dataclass(frozen=True)
class Part:
    """The difference on one class or slice."""

    what: str
    """`class`, or the name of the column."""

    name: str
    num_samples: int
    base: float
    """Share of right answers of the first side, the mean over its seeds."""

    other: float
    difference: Difference | None = None
    adjusted: float | None = None
    """P-value, adjusted for all parts of this kind (Holm)."""

    untested: str = ""
    """Why there is no difference."""


def by_class(base: Sequence[Predictions], other: Sequence[Predictions]) -> list[Part]:
    """The difference on each class that occurs, in the order of the classes."""
    first, parts = base[0], []
    for k, name in enumerate(first.classes):
        if first.kind.is_set:
            rows_N = np.ones(len(first.ids), bool)
            hits = [np.stack([run.answers[:, k] == run.truth[:, k] for run in side]) for side in (base, other)]
            is_there = bool(first.truth[:, k].any())
        else:
            rows_N = first.truth == k
            hits = [_right(side) for side in (base, other)]
            is_there = bool(rows_N.any())
        if is_there:
            parts.append(_part("class", name, hits, rows_N, joint_units([*base, *other])))
    return adjusted(parts)


def by_slice(base: Sequence[Predictions], other: Sequence[Predictions], columns: Mapping[str, Cells]) -> list[Part]:
    """The difference on each slice, by column. columns: cells of every sample, in the order of the predictions."""
    hits, units = [_right(side) for side in (base, other)], joint_units([*base, *other])
    parts = [
        _part(column, name, hits, rows_N, units)
        for column, cells in columns.items()
        for name, rows_N in slices_of(cells)
    ]
    return adjusted(parts)


def columns_of(manifest: Manifest, ids: Sequence[str]) -> dict[str, Cells]:
    """Columns of the manifest by which samples can be sliced, for these samples: extra columns, and missing views."""
    samples = manifest.samples
    place = {name: row for row, name in enumerate(samples.ids)}
    rows = [place[name] for name in ids]
    columns: dict[str, Cells] = {name: [cells[row] for row in rows] for name, cells in samples.extra.items()}
    lacking = ["without " + ", ".join(missing) if missing else "all" for missing in _missing(manifest, rows)]
    return columns | ({"views": lacking} if len(set(lacking)) > 1 else {})


def _missing(manifest: Manifest, rows: Sequence[int]) -> Iterator[list[str]]:
    views = manifest.samples.views
    for row in rows:
        yield [view for view in manifest.views if view not in views or views[view][row] is None]


def slices_of(cells: Cells) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Name and samples (N) of each slice of a column; none where the column tells no samples apart."""
    counts = Counter(cell for cell in cells if cell is not None)
    if 2 <= len(counts) <= MOST_VALUES:
        for value in sorted(counts):
            yield value, np.array([cell == value for cell in cells])
    elif len(counts) > MOST_VALUES:
        numbers_N = np.array([_number(cell) for cell in cells])
        known_N = np.isfinite(numbers_N)
        if known_N.sum() < sum(counts.values()):
            return  # free text, or names
        middle = float(np.median(numbers_N[known_N]))
        yield f"up to {middle:g}", known_N & (numbers_N <= middle)
        yield f"above {middle:g}", known_N & (numbers_N > middle)


def _number(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return float("nan")


def _right(side: Sequence[Predictions]) -> FloatArray:
    hits_SN: FloatArray = np.stack([run.is_right_N for run in side]).astype(np.float64)
    return hits_SN


def _part(
    what: str, name: str, hits: Sequence[npt.NDArray[np.generic]], rows_N: npt.NDArray[np.bool_], units: metrics.Units
) -> Part:
    base_SM, other_SM = (side[:, rows_N].astype(np.float64) for side in hits)
    of_part = units.take(rows_N)
    part = Part(what, name, int(rows_N.sum()), float(base_SM.mean()), float(other_SM.mean()))
    if of_part.num < LEAST_UNITS:
        return replace(part, untested=f"fewer than {LEAST_UNITS} {'groups' if units.are_groups else 'samples'}")
    accuracy = metrics.metric_of("accuracy")
    (difference,) = mean_differences(
        accuracy, base_SM, [other_SM], of_part, are_hits=True, num_resamples=NUM_RESAMPLES
    )  # fmt: skip
    return replace(part, difference=difference)


def adjusted(parts: Sequence[Part]) -> list[Part]:
    """The parts with p-values adjusted for all of them."""
    p_values = iter(holm([part.difference.p_value for part in parts if part.difference]))
    return [replace(part, adjusted=next(p_values)) if part.difference else part for part in parts]
