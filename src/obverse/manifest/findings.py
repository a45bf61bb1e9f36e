"""Formatting of findings as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .sample import Finding

MAX_PER_KIND = 5


def finding_lines(findings: Iterable[Finding], all_are_in: str) -> Iterator[str]:
    """Lines for the first MAX_PER_KIND findings of each code.

    all_are_in: clause that says where the remaining findings are listed.
    """
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    for code, alike in by_code.items():
        for finding in alike[:MAX_PER_KIND]:
            yield f"{finding.severity.capitalize()}: {finding.message} {_examples(finding.paths)}".rstrip()
        if len(alike) > MAX_PER_KIND:
            yield f"{len(alike) - MAX_PER_KIND} more of {code}; {all_are_in}"


def _examples(paths: Sequence[str]) -> str:
    return f"({', '.join(map(repr, paths[:3]))}{' ...' if len(paths) > 3 else ''})" if paths else ""
