"""Rows of the table of findings that the terminal and a notebook show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from obverse.manifest.sample import Finding
from obverse.report import Block, Row, Table, Text, to_html_fragment

from .check import Check

HEADER: Row = ("severity", "finding", "count", "what")
MAX_EXAMPLES = 2


@dataclass(frozen=True)
class Kind:
    """Findings of one code and severity."""

    severity: str
    code: str
    findings: Sequence[Finding]


def kinds_of(findings: Sequence[Finding]) -> list[Kind]:
    """Findings grouped by severity and code, in order of first occurrence."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, finding.code), []).append(finding)
    return [Kind(severity, code, tuple(alike)) for (severity, code), alike in groups.items()]


def finding_rows(check: Check) -> list[Row]:
    """One row per kind of finding: its severity, code, number, and the first of its messages."""
    return [(kind.severity, kind.code, str(len(kind.findings)), _example(kind)) for kind in kinds_of(check.findings)]


def count_sentence(check: Check) -> str:
    """Sentence with the numbers of samples, of pictures, and of findings of each severity."""
    counts = [f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in check.counts.items()]
    return f"{check.num_samples} samples, {check.num_pictures} pictures: {', '.join(counts)}"


def check_fragment(check: Check) -> str:
    """HTML fragment of the table of findings, for a notebook."""
    blocks: list[Block] = [Text(check.summary), Table(HEADER, tuple(finding_rows(check))), Text(count_sentence(check))]
    return to_html_fragment(blocks, label="findings")


def _example(kind: Kind) -> str:
    first, paths = kind.findings[0], kind.findings[0].paths
    files = f" ({', '.join(paths[:MAX_EXAMPLES])}{' ...' if len(paths) > MAX_EXAMPLES else ''})" if paths else ""
    return f"{first.message}{files}{' ...' if len(kind.findings) > 1 else ''}"
