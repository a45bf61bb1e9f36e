"""The manifest: which samples, which views, which split. A file, not a loader's side effect.

As CSV it has the columns `id, label, split, group, digest`, one column per view and any extra columns; paths are
relative to the manifest's root.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from obverse.errors import DataError

from .sample import SPLITS, Sample

RESERVED = ("id", "label", "split", "group", "digest")


@dataclass(frozen=True)
class Manifest:
    """classes: label order, a class's integer is its place. ordered: that order has a meaning (grades)."""

    root: Path
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    views: tuple[str, ...]
    ordered: bool = False

    @cached_property
    def class_index(self) -> dict[str, int]:
        """Class name -> integer label."""
        return {name: index for index, name in enumerate(self.classes)}

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of train, val or test, in manifest order."""
        return tuple(sample for sample in self.samples if sample.split == name)

    def counts(self, split: str | None = None) -> dict[str, int]:
        """Class -> number of samples, in class order."""
        counted = Counter(s.label for s in self.samples if split is None or s.split == split)
        return {name: counted[name] for name in self.classes}

    def split_counts(self) -> dict[str, int]:
        """Split -> number of samples."""
        counted = Counter(sample.split for sample in self.samples)
        return {name: counted[name] for name in SPLITS}

    def path(self, sample: Sample, view: str) -> Path | None:
        """The file of one view, or None when the sample lacks it."""
        relative = sample.views.get(view)
        return None if relative is None else self.root / relative

    def with_samples(self, samples: Iterable[Sample]) -> Manifest:
        """The same manifest over other samples; the classes stay."""
        return replace(self, samples=tuple(samples))

    def write(self, path: Path) -> None:
        """Write as CSV."""
        extras = list(dict.fromkeys(key for sample in self.samples for key in sample.extra))
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.writer(file)
            writer.writerow([*RESERVED, *self.views, *extras])
            for s in self.samples:
                cells = [s.id, s.label, s.split or "", s.group or "", s.digest or ""]
                cells += [s.views.get(view, "") for view in self.views]
                writer.writerow(cells + [s.extra.get(key, "") for key in extras])


def read_manifest(path: Path, *, root: Path, classes: Sequence[str], views: Sequence[str], ordered: bool) -> Manifest:
    """Read what `Manifest.write` wrote; classes, views and their order come from the recipe or bundle beside it."""
    samples = []
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            for row in csv.DictReader(file, strict=True):
                samples.append(_sample(row, tuple(views)))
    except (OSError, csv.Error, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a readable manifest: {error}") from None
    known = set(classes)
    for sample in samples:
        if sample.label not in known or sample.split not in (*SPLITS, None):
            raise DataError(f"{path}: sample `{sample.id}` has label `{sample.label}` and split `{sample.split}`; "
                            f"known are {', '.join(classes[:20])}, and {', '.join(SPLITS)}")  # fmt: skip
    return Manifest(root, tuple(samples), tuple(classes), tuple(views), ordered)


def _sample(row: dict[str, str], views: tuple[str, ...]) -> Sample:
    if None in row or None in row.values():
        raise KeyError(f"a row with another number of cells than the header, near `{row['id']}`")
    return Sample(
        id=row["id"],
        label=row["label"],
        views={view: row[view] for view in views if row[view]},
        split=row["split"] or None,
        group=row["group"] or None,
        digest=row["digest"] or None,
        extra={k: v for k, v in row.items() if k not in RESERVED and k not in views},
    )
