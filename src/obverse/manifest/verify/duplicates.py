"""Exact duplicates: the same bytes in two samples. They become one split group, and are findings across labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from obverse.manifest.sample import Finding, Sample


def group_duplicates(samples: Sequence[Sample], digest_of: Mapping[str, str]) -> tuple[Sample, ...]:
    """Samples that share a picture get one group (together with the groups they have), so no split parts them.

    digest_of: path -> content digest.
    """
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for sample in samples:
        mine = find(f"id {sample.id}")
        tied = [f"digest {digest_of[path]}" for path in sample.views.values()]
        tied += [f"group {sample.group}"] if sample.group else []
        for key in tied:
            parent[find(key)] = find(mine)
    clusters: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        clusters[find(f"id {sample.id}")].append(sample)
    name_of = {root: _group_name(members) for root, members in clusters.items() if len(members) > 1}
    return tuple(replace(s, group=name_of.get(find(f"id {s.id}"), s.group)) for s in samples)


def _group_name(members: Sequence[Sample]) -> str:
    names = {member.group for member in members}
    only = next(iter(names))
    return only if len(names) == 1 and only is not None else min(member.id for member in members)


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
