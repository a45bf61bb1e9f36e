"""Manifest: the samples of a data set with their views, labels and splits, and its CSV form.

The CSV file has the columns `id, label, split, group, digest`, one column per view and any extra columns. The cell of a
view is a locator (`store/locator.py`): a path relative to the manifest's root, or a place inside a file. In multi-label
data the label column is `labels`, and its cells are label sets (`label_sets.py`).
"""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from obverse.errors import DataError
from obverse.files import regular_status
from obverse.imaging import Part
from obverse.recipe import ColumnKind

from .label_sets import class_counts, members
from .sample import SPLITS, Sample
from .samples import Samples
from .store import PictureStore, part_of

RESERVED = ("id", "label", "split", "group", "digest")
SET_RESERVED = ("id", "labels", "split", "group", "digest")
# Rows that are read at a time. With more, the garbage collector looks at them: 4,096 take twice as long.
ROWS = 256
# Column of a prepared manifest with ordered classes: the index of the sample's class in that order.
LABEL_RANK = "label_rank"


@dataclass(frozen=True)
class Column:
    """Fitted encoding of an extra column (`columns.py`)."""

    name: str

    kind: ColumnKind
    """category or number."""

    values: tuple[str, ...] = ()
    """Known values of a category, sorted."""

    mean: float = 0.0
    """Mean of a number over the training samples."""

    std: float = 1.0
    """Standard deviation of a number over the training samples."""

    @property
    def size(self) -> int | None:
        """Number of values of a category; None for a number."""
        return len(self.values) if self.kind == "category" else None

    @cached_property
    def code(self) -> dict[str, float]:
        """Category -> its code, counted from 1."""
        return {value: float(place) for place, value in enumerate(self.values, 1)}


@dataclass(frozen=True)
class Manifest:
    """Samples of a data set, with class names and view names."""

    root: Path
    """Folder or URL that relative locators start from."""
    samples: Samples
    classes: tuple[str, ...]
    """Class names in label order: a class's integer label is its index."""
    views: tuple[str, ...]
    ordered: bool = False
    """Whether the classes have an order, such as grades."""
    columns: tuple[Column, ...] = ()
    """The extra columns that the model sees, fitted on the training samples."""
    multi_label: bool = False
    """Whether a sample's label is a label set as text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", Samples.of(self.samples).in_view_order(self.views))

    @cached_property
    def class_index(self) -> dict[str, int]:
        """Class name -> integer label."""
        return {name: index for index, name in enumerate(self.classes)}

    def split(self, name: str) -> Samples:
        """The samples of train, val or test, in manifest order."""
        return self.samples.where(split == name for split in self.samples.splits)

    def counts(self, split: str | None = None) -> dict[str, int]:
        """Class -> number of samples that have it, in class order."""
        pairs = zip(self.samples.labels, self.samples.splits, strict=True)
        labels = (label for label, its_split in pairs if split is None or its_split == split)
        counted = class_counts(labels, multi_label=self.multi_label)
        return {name: counted[name] for name in self.classes}

    def split_counts(self) -> dict[str, int]:
        """Split -> number of samples."""
        counted = Counter(self.samples.splits)
        return {name: counted[name] for name in SPLITS}

    @cached_property
    def store(self) -> PictureStore:
        """Reader of the pictures. Archives are opened here, so that forked workers inherit their indexes."""
        store = PictureStore(self.root)
        store.open(self.samples.paths())
        return store

    def classes_of(self, sample: Sample) -> tuple[str, ...]:
        """The sample's classes: one, or those of its label set."""
        return members(sample.label, multi_label=self.multi_label)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The part of the picture for each view, where all views are parts of one picture; else empty."""
        parts_of_views: list[Part] = []
        if len(self.views) == 1 or not any(part_of(cell)[1] for cell in self.samples[0].views.values()):
            return ()  # decided by the first sample, because inspecting all of a large set is slow
        for view in self.views:
            pairs = {part_of(cell)[1] for cell in self.samples.views.get(view, ()) if cell is not None}
            step = pairs.pop() if len(pairs) == 1 else None
            if step is None:
                return ()
            parts_of_views.append(Part.parse(*step))
        wholes = zip(*(map(_whole, self.samples.views[view]) for view in self.views), strict=True)
        return tuple(parts_of_views) if all(len({*cells}) == 1 for cells in wholes) else ()

    def with_samples(self, samples: Iterable[Sample]) -> Manifest:
        """The manifest with other samples and the same classes."""
        return replace(self, samples=Samples.of(samples))

    def write(self, path: Path) -> None:
        """Write the manifest as CSV."""
        s = self.samples
        header = [*(SET_RESERVED if self.multi_label else RESERVED), *self.views, *s.extra]
        require_distinct(header, str(path))
        nothing = (None,) * len(s)
        views = [s.views.get(view, nothing) for view in self.views]
        rows = zip(s.ids, s.labels, s.splits, s.groups, s.digests, *views, *s.extra.values(), strict=True)
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)  # None is written as an empty cell


def require_distinct(header: Sequence[str], where: str) -> None:
    """DataError when two columns have the same name, because it is undefined which one a reader takes."""
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(f"{where}: the column `{twice[0]}` occurs twice in {', '.join(header)}; rename one of them")


def _whole(locator: str | None) -> str | None:
    return None if locator is None else part_of(locator)[0]


def read_manifest(
    path: Path,
    *,
    root: Path,
    classes: Sequence[str],
    views: Sequence[str],
    ordered: bool,
    multi_label: bool = False,
) -> Manifest:
    """The manifest in a CSV file, inverse of `Manifest.write`; classes and views come from the recipe or bundle."""
    try:
        regular_status(path)
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            reserved = SET_RESERVED if multi_label else RESERVED
            samples = _read_columns(csv.reader(file, strict=True), reserved, tuple(views), str(path))
    except (OSError, csv.Error, KeyError) as error:
        raise DataError(f"{path} is not a readable manifest: {error}") from None
    _require_known(samples, classes, path, multi_label=multi_label)
    return Manifest(root, samples, tuple(classes), tuple(views), ordered, multi_label=multi_label)


def _require_known(samples: Samples, classes: Sequence[str], path: Path, *, multi_label: bool) -> None:
    """DataError for the first sample whose label or split is unknown."""
    known = set(classes)
    unknown = {
        (label, split)
        for label, split in set(zip(samples.labels, samples.splits, strict=True))
        if not known.issuperset(members(label, multi_label=multi_label)) or split not in (*SPLITS, None)
    }
    if unknown:
        place = next(n for n, pair in enumerate(zip(samples.labels, samples.splits, strict=True)) if pair in unknown)
        label, split = samples.labels[place], samples.splits[place]
        raise DataError(f"{path}: sample `{samples.ids[place]}` has label `{label}` and split `{split}`; "
                        f"known are {', '.join(classes[:20])}, and {', '.join(SPLITS)}")  # fmt: skip


def _read_columns(rows: Iterator[list[str]], reserved: Sequence[str], views: tuple[str, ...], where: str) -> Samples:
    """The samples of a manifest's rows. Blocks of rows are transposed, several times as fast as sample by sample."""
    header = next(rows, [])
    require_distinct(header, where)
    absent = [name for name in (*reserved, *views) if name not in header]
    if absent:
        raise KeyError(f"no column `{absent[0]}`")
    columns: dict[str, list[str]] = {name: [] for name in header}
    held: dict[str, str] = {}
    filled = filter(None, rows)  # without blank lines
    while block := list(itertools.islice(filled, ROWS)):
        if {*map(len, block)} != {len(header)}:
            wrong = next(row for row in block if len(row) != len(header))
            raise KeyError(f"a row with another number of cells than the header: {','.join(wrong)[:80]}")
        cells = dict(zip(header, zip(*block, strict=True), strict=True))
        for name, column in columns.items():
            if name in views:  # often the id; equal strings are stored once
                column.extend(key if key == cell else cell for key, cell in zip(cells["id"], cells[name], strict=True))
            elif name in ("id", "group", "digest"):
                column.extend(cells[name])
            else:
                column.extend(map(held.setdefault, cells[name], cells[name]))

    def of(name: str) -> tuple[str | None, ...]:
        return tuple(cell or None for cell in columns[name])

    ids = tuple(columns["id"])
    return Samples(
        ids,
        tuple(columns[reserved[1]]),
        {view: ids if columns[view] == columns["id"] else of(view) for view in views if any(columns[view])},
        of("split"),
        of("group"),
        of("digest"),
        {name: tuple(columns[name]) for name in header if name not in reserved and name not in views},
    )
