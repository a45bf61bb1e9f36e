"""Exclusion of classes, by name or by size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from obverse.errors import DataError
from obverse.recipe import DataSpec, did_you_mean

from .sample import Finding
from .samples import Samples


def without_excluded(samples: Samples, spec: DataSpec) -> tuple[Samples, list[Finding]]:
    """The samples without `data.exclude_classes`, and a finding that lists these classes.

    Example: grades with `details` have no place on the Sheldon scale.
    """
    if not spec.exclude_classes:
        return samples, []
    counts = Counter(samples.labels)
    for name in spec.exclude_classes:
        if name not in counts:
            raise DataError(f"data.exclude_classes names {name!r}, and the data has no such class"
                            f"{did_you_mean(name, list(counts))}")  # fmt: skip
    listed = ", ".join(f"{name} ({counts[name]})" for name in spec.exclude_classes)
    kept = samples.where(label not in spec.exclude_classes for label in samples.labels)
    return kept, [Finding("note", "excluded-class", f"left out by data.exclude_classes: {listed}")]


def smaller_classes(samples: Samples, num_kept: int | None) -> dict[str, int]:
    """Classes that `data.largest_classes` excludes -> number of training samples.

    samples: with their splits assigned.
    num_kept: number of classes to keep; None keeps all. Equal counts are ordered by name.

    DataError when the data has fewer classes than `num_kept`.
    """
    if num_kept is None:
        return {}
    pairs = zip(samples.labels, samples.splits, strict=True)
    counts = Counter(label for label, split in pairs if split == "train")
    names = sorted(set(samples.labels), key=lambda name: (-counts[name], name))
    if len(names) < num_kept:
        raise DataError(f"data.largest_classes is {num_kept}, and the data has {len(names)} classes")
    return {name: counts[name] for name in names[num_kept:]}


def dropped_finding(dropped: Mapping[str, int]) -> Finding:
    """The finding that lists the classes excluded by `data.largest_classes`."""
    listed = ", ".join(f"{name} ({count})" for name, count in [*dropped.items()][:10])
    more = " ..." if len(dropped) > 10 else ""
    message = f"{len(dropped)} smaller classes left out by data.largest_classes (training samples): {listed}{more}"
    return Finding("note", "excluded-class", message)
