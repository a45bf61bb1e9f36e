"""Findings as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .sample import Finding

NUM_SHOWN = 5


def finding_lines(findings: Iterable[Finding], all_are_in: str) -> Iterator[str]:
    """The first few of each kind. all_are_in: where the others are, in words."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    for code, alike in by_code.items():
        for finding in alike[:NUM_SHOWN]:
            yield f"{finding.severity.capitalize()}: {finding.message} {_examples(finding.paths)}".rstrip()
        if len(alike) > NUM_SHOWN:
            yield f"{len(alike) - NUM_SHOWN} more of {code}; {all_are_in}"


def _examples(paths: Sequence[str]) -> str:
    return f"({', '.join(map(repr, paths[:3]))}{' ...' if len(paths) > 3 else ''})" if paths else ""
