"""Classes that the user leaves out."""

from __future__ import annotations

from collections import Counter

from obverse.errors import DataError
from obverse.recipe import DataSpec, did_you_mean

from .sample import Finding
from .samples import Samples


def without_excluded(samples: Samples, spec: DataSpec) -> tuple[Samples, list[Finding]]:
    """Leave out `data.exclude_classes`: grades with `details` have no place on the scale (requirement A12)."""
    if not spec.exclude_classes:
        return samples, []
    counts = Counter(samples.labels)
    for name in spec.exclude_classes:
        if name not in counts:
            raise DataError(f"data.exclude_classes names {name!r}, and the data has no such class"
                            f"{did_you_mean(name, list(counts))}")  # fmt: skip
    told = ", ".join(f"{name} ({counts[name]})" for name in spec.exclude_classes)
    kept = samples.where(label not in spec.exclude_classes for label in samples.labels)
    return kept, [Finding("note", "excluded-class", f"left out by data.exclude_classes: {told}")]
