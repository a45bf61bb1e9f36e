"""Findings about parts of one picture (halves, tiles) that are separate samples, which no split should divide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from obverse.manifest.sample import Finding, Sample
from obverse.manifest.store import part_of


def parts_findings(samples: Sequence[Sample]) -> list[Finding]:
    """A note about pictures whose parts are several samples; a warning if stated splits divide them."""
    wholes = (_whole_of(path) for sample in samples for path in sample.views.values())
    has_parts = {whole for whole, is_part in wholes if is_part}
    if not has_parts:
        return []
    holders: dict[str, list[tuple[Sample, str]]] = defaultdict(list)
    for sample in samples:
        for path in sample.views.values():
            if (whole := _whole_of(path)[0]) in has_parts:
                holders[whole].append((sample, path))
    shared = [whole for whole in holders if len({s.id for s, _ in holders[whole]}) > 1]
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


def _whole_of(path: str) -> tuple[str, bool]:
    """Locator of the whole picture, and whether the path is a part of it."""
    whole, step = part_of(path) if "::" in path else (path, None)
    return whole, step is not None
