"""Attributes of samples by which an evaluation is sliced: categories by value, numbers in quartiles."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obverse.errors import printable
from obverse.evaluation import Predictions
from obverse.manifest import Manifest, Samples, parse_locator
from obverse.metrics import FloatArray, IntArray

# Numbers with at most this many distinct values are sliced by value, others in quartiles.
MOST_VALUES = 8
# Slices of one attribute: the largest ones.
MOST_SLICES = 40
MOST_COLUMNS = 50
MOST_DEPTH = 3
# Letters of a value that are shown; cells may hold anything.
MOST_LETTERS = 60
# Columns that restate the class.
OF_THE_CLASS = ("label_rank",)

Words = Callable[[str], str]


@dataclass(frozen=True, eq=False)
class Attribute:
    """One attribute of all samples, as the slice in which each sample lies."""

    name: str

    slice_N: IntArray
    """Slice number of each sample; -1 where the attribute is not known, and a number without words where the slice is
    not examined by itself."""

    words: tuple[str, ...]
    """What the samples of each slice have in common, to follow the word `samples`."""


def by_value(name: str, values: Sequence[str | None], words: Words) -> Attribute:
    """Slices by the value of a category; None is unknown."""
    counted = Counter(value for value in values if value is not None)
    number = {value: place for place, (value, _) in enumerate(counted.most_common(MOST_SLICES))}
    slice_N = np.array([-1 if value is None else number.get(value, len(number)) for value in values], np.int64)
    return Attribute(name, slice_N, tuple(words(shortened(value)) for value in number))


def by_number(name: str, values_N: FloatArray, words: Words) -> Attribute:
    """Slices by the quartile of a number, or by its value where there are few; NaN is unknown."""
    known_N = np.isfinite(values_N)
    if len(np.unique(values_N[known_N])) <= MOST_VALUES:
        return by_value(name, [f"{value:.6g}" if math.isfinite(value) else None for value in values_N.tolist()], words)
    edges = np.unique(np.quantile(values_N[known_N], (0.25, 0.5, 0.75)))
    slice_N = np.where(known_N, np.searchsorted(edges, values_N, side="left"), -1).astype(np.int64)
    of_slices = [values_N[slice_N == place] for place in range(len(edges) + 1)]
    ranges = [f"{part_M.min():.3g} to {part_M.max():.3g}" if part_M.size else "" for part_M in of_slices]
    return Attribute(name, slice_N, tuple(map(words, ranges)))


def manifest_attributes(samples: Samples, manifest: Manifest) -> Iterator[Attribute]:
    """Attributes that the manifest knows: extra columns, size of the group, folder, split and missing views.

    samples: the samples to slice, of this manifest.
    """
    for column in [name for name in samples.extra if name not in OF_THE_CLASS][:MOST_COLUMNS]:
        yield _by_column(shortened(column), samples.extra[column])
    if any(samples.groups):
        sizes = Counter(manifest.samples.groups)
        values_N = np.array([sizes[group] if group else 1 for group in samples.groups], np.float64)
        yield by_number("size of the group", values_N, lambda value: f"in groups of {value}")
    yield from _by_folder(samples, manifest.views[0])
    yield by_value("split", samples.splits, lambda value: f"of split {value}")
    for view, cells in samples.views.items():
        yield by_value(f"view {view}", [f"with{'' if cell else 'out'} {view}" for cell in cells], str)


def class_attribute(labelled: Predictions) -> Iterator[Attribute]:
    """The true class; none for label sets, whose classes overlap."""
    if not labelled.kind.is_set:
        names = [labelled.classes[label] for label in labelled.truth.tolist()]
        yield by_value("class", names, lambda value: f"of class {value}")


def shortened(text: str) -> str:
    """One printable line of at most MOST_LETTERS letters."""
    line = printable(text)
    return line if len(line) <= MOST_LETTERS else f"{line[:MOST_LETTERS]}..."


def _by_column(name: str, cells: Sequence[str | None]) -> Attribute:
    numbers_N = _as_numbers(cells)
    if numbers_N is not None:
        return by_number(name, numbers_N, lambda value: f"with {name} {value}")
    values = [cell or "" for cell in cells]
    return by_value(name, values, lambda value: f"with {name} {value}" if value else f"without {name}")


def _as_numbers(cells: Sequence[str | None]) -> npt.NDArray[np.float64] | None:
    """The cells as numbers, NaN where empty; None unless all others are finite numbers."""
    try:
        values_N = np.array([float(cell) if cell else math.nan for cell in cells], np.float64)
    except ValueError:
        return None
    num_given = sum(1 for cell in cells if cell)
    return values_N if num_given and num_given == int(np.isfinite(values_N).sum()) else None


def _by_folder(samples: Samples, view: str) -> Iterator[Attribute]:
    """The folder of the first view's picture, one attribute for each depth below the data."""
    cells = samples.views.get(view, ())
    folders = [None if cell is None else _folder(cell) for cell in cells]
    depth = min(MOST_DEPTH, max((len(parts) for parts in folders if parts is not None), default=0))
    for deep in range(1, depth + 1):
        values = ["/".join(parts[:deep]) if parts and len(parts) >= deep else None for parts in folders]
        yield by_value("folder", values, "from folder {}".format)


def _folder(locator: str) -> tuple[str, ...]:
    """The folders above a picture, inside an archive too."""
    name, steps = parse_locator(locator)
    members = [value for kind, value in steps if kind == "member"]
    return tuple("/".join([*([name] if members else []), *members] or [name]).split("/")[:-1])
