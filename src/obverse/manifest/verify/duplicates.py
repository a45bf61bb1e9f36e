"""Exact duplicates: the same bytes in two samples, under two labels or in two splits. `grouping` ties them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from obverse.manifest.sample import Finding, Sample


def duplicate_findings(samples: Sequence[Sample], digest_of: Mapping[str, str]) -> list[Finding]:
    """A warning per picture that occurs under two labels, or in two given splits."""
    holders: dict[str, list[tuple[Sample, str]]] = defaultdict(list)
    for sample in samples:
        for path in sample.views.values():
            holders[digest_of[path]].append((sample, path))
    findings = []
    for group in holders.values():
        paths = tuple(path for _, path in group)
        labels = sorted({sample.label for sample, _ in group})
        splits = sorted({sample.split for sample, _ in group if sample.split})
        if len(labels) > 1:
            message = f"the same picture carries {len(labels)} labels ({', '.join(labels)})"
            findings.append(Finding("warning", "duplicate-across-labels", message, paths))
        if len(splits) > 1:
            message = f"the same picture is in {' and '.join(splits)}: the figures for these will look too good"
            findings.append(Finding("warning", "duplicate-across-splits", message, paths))
    return findings
