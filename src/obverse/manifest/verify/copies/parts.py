"""Findings about parts of one picture (halves, tiles) that are separate samples, which no split should divide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from obverse.manifest.sample import Finding, Sample
from obverse.manifest.store import part_of


def parts_findings(samples: Sequence[Sample]) -> list[Finding]:
    """A note about pictures whose parts are several samples; a warning if stated splits divide them."""
    holders: dict[str, list[tuple[Sample, str]]] = defaultdict(list)
    has_parts = set()
    for sample in samples:
        for path in sample.views.values():
            whole, step = part_of(path) if "::" in path else (path, None)
            holders[whole].append((sample, path))
            if step is not None:
                has_parts.add(whole)
    shared = [whole for whole in holders if whole in has_parts and len({s.id for s, _ in holders[whole]}) > 1]
    if not shared:
        return []
    apart = [whole for whole in shared if len({s.split for s, _ in holders[whole] if s.split}) > 1]
    findings = []
    if apart:
        message = f"parts of {len(apart)} picture(s) are in different splits: the figures for these will look too good"
        findings.append(Finding("warning", "parts-across-splits", message, tuple(p for _, p in holders[apart[0]])))
    if len(apart) < len(shared):
        message = (
            f"parts of {len(shared) - len(apart)} picture(s) are samples of their own; each picture's stay in one split"
        )
        first = next(whole for whole in shared if whole not in apart)
        findings.append(Finding("note", "parts-of-one-picture", message, tuple(p for _, p in holders[first])))
    return findings
