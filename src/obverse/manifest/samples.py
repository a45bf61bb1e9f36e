"""Compact sequence of samples, stored as columns of strings; a `Sample` object is made on access.

435,000 samples as objects with a dict of views each take 300 MB, as columns 45 MB, most of it the paths
(benchmarks/index.py). Equal strings are stored once, also when an id equals the picture's path.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import overload

from .sample import Sample

Column = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Samples(Sequence[Sample]):
    """Sequence of samples as immutable columns of equal length.

    None in a cell: the sample has no such view, split, group, digest or extra value.
    """

    ids: tuple[str, ...]

    labels: tuple[str, ...]

    views: Mapping[str, Column]
    """View name -> locators."""

    splits: Column

    groups: Column

    digests: Column

    extra: Mapping[str, Column]
    """Name of an extra column -> its cells."""

    def __post_init__(self) -> None:
        columns = (self.labels, *self.views.values(), self.splits, self.groups, self.digests, *self.extra.values())
        assert all(len(column) == len(self.ids) for column in columns)

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Samples:
        """The samples as columns. An iterator is consumed lazily, to save memory."""
        if isinstance(samples, Samples):
            return samples
        packer = _Packer()
        for sample in samples:
            packer.add(sample)
        return packer.samples()

    @classmethod
    def from_columns(
        cls, ids: Iterable[str], labels: Iterable[str], views: Mapping[str, Sequence[str | None]]
    ) -> Samples:
        """Samples without split, group, digest and extra columns, from columns of ids, labels and views."""
        names = tuple(ids)
        # One tuple may be several columns: an id is often the path of the only view.
        columns = {view: names if column is ids else tuple(column) for view, column in views.items()}
        nothing = (None,) * len(names)
        return cls(names, tuple(labels), columns, nothing, nothing, nothing, {})

    def with_columns(
        self,
        *,
        splits: Iterable[str | None] | None = None,
        groups: Iterable[str | None] | None = None,
        digests: Iterable[str | None] | None = None,
    ) -> Samples:
        """The samples with other splits, groups or digests."""
        return replace(
            self,
            splits=self.splits if splits is None else tuple(splits),
            groups=self.groups if groups is None else tuple(groups),
            digests=self.digests if digests is None else tuple(digests),
        )

    def in_view_order(self, names: Sequence[str]) -> Samples:
        """The samples with their views in the order of `names`.

        Digests and cache keys depend on that order, which must not depend on which sample comes first.
        """
        order = [*(name for name in names if name in self.views), *(name for name in self.views if name not in names)]
        return self if order == [*self.views] else replace(self, views={name: self.views[name] for name in order})

    def take(self, places: Sequence[int]) -> Samples:
        """The samples at the indices `places`, in that order."""

        def of(column: Sequence[str | None]) -> Column:
            return tuple(map(column.__getitem__, places))

        ids = tuple(map(self.ids.__getitem__, places))
        return Samples(
            ids,
            tuple(map(self.labels.__getitem__, places)),
            {view: ids if column is self.ids else of(column) for view, column in self.views.items()},
            of(self.splits),
            of(self.groups),
            of(self.digests),
            {name: of(column) for name, column in self.extra.items()},
        )

    def where(self, wanted: Iterable[object]) -> Samples:
        """The samples whose value in `wanted` is true; `wanted` has one value per sample."""
        return self.take([place for place, is_wanted in enumerate(wanted) if is_wanted])

    def paths(self) -> Iterator[str]:
        """Locators of all pictures, sample by sample."""
        return (path for row in zip(*self.views.values(), strict=True) for path in row if path is not None)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: int | slice) -> Sample | Samples:
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        return Sample(
            self.ids[index],
            self.labels[index],
            {view: path for view, column in self.views.items() if (path := column[index]) is not None},
            self.splits[index],
            self.groups[index],
            self.digests[index],
            {name: cell for name, column in self.extra.items() if (cell := column[index]) is not None},
        )

    def __iter__(self) -> Iterator[Sample]:
        return map(self.__getitem__, range(len(self)))


def extra_names(columns: Sequence[str], own: Collection[str]) -> dict[str, str]:
    """Column of a source -> name of its extra column in the manifest.

    A name among the manifest's `own` columns gets the prefix `source_`, so that no two columns have the same name.
    """
    names = {}
    for column in columns:
        name = column
        while name in own or (name != column and name in columns):
            name = f"source_{name}"
        names[column] = name
    return names


class _Packer:
    """Builder of columns, sample by sample."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.views: dict[str, list[str | None]] = {}
        self.splits: list[str | None] = []
        self.groups: list[str | None] = []
        self.digests: list[str | None] = []
        self.extra: dict[str, list[str | None]] = {}

    def add(self, sample: Sample) -> None:
        self._cells(self.views, {v: sample.id if p == sample.id else p for v, p in sample.views.items()})
        self._cells(self.extra, {name: self._once(cell) for name, cell in sample.extra.items()})
        self.ids.append(sample.id)
        self.labels.append(self._once(sample.label))
        self.splits.append(None if sample.split is None else self._once(sample.split))
        self.groups.append(sample.group)
        self.digests.append(sample.digest)

    def _once(self, text: str) -> str:
        return self.held.setdefault(text, text)

    def _cells(self, columns: dict[str, list[str | None]], cells: Mapping[str, str]) -> None:
        for name in cells:
            if name not in columns:
                columns[name] = [None] * len(self.ids)
        for name, column in columns.items():
            column.append(cells.get(name))

    def samples(self) -> Samples:
        ids = tuple(self.ids)
        return Samples(
            ids,
            tuple(self.labels),
            {view: ids if _is_same(column, ids) else tuple(column) for view, column in self.views.items()},
            tuple(self.splits),
            tuple(self.groups),
            tuple(self.digests),
            {name: tuple(column) for name, column in self.extra.items()},
        )


def _is_same(column: Sequence[str | None], ids: Sequence[str]) -> bool:
    return all(itertools.starmap(lambda a, b: a is b, zip(column, ids, strict=True)))
