"""A comparison as table rows and notes, for a terminal and for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obverse.metrics import p_value_words
from obverse.report import Block, Row, Table, Text, to_html_fragment

if TYPE_CHECKING:
    from .compare import Comparison

HEADER: Row = ("run", "metric", "value", "95 % interval", "difference", "95 % interval", "p")


def comparison_rows(comparison: Comparison) -> list[Row]:
    """One row per metric and run."""
    return [_cells(comparison, row.name, metric) for metric in comparison.metrics for row in comparison.rows]


def comparison_notes(comparison: Comparison) -> list[str]:
    """Notes below the table: legend, the comparison's own sentences, and why differences are missing."""
    adjusted = ", adjusted for several comparisons (Holm)" if len(comparison.rows) > 2 else ""
    base = comparison.rows[0].name
    tests = list(dict.fromkeys(result.test for row in comparison.rows for result in row.differences.values()))
    legend = f"differences are from {base}, on the same samples; p by {' or '.join(tests) or 'no test'}{adjusted}"
    return [legend, *comparison.sentences, *(f"{row.name}: {row.note}" for row in comparison.rows if row.note)]


def comparison_fragment(comparison: Comparison) -> str:
    """The comparison as an HTML fragment for a notebook."""
    table: list[Block] = [Table(HEADER, tuple(comparison_rows(comparison)))]
    notes = map(Text, comparison_notes(comparison))
    return to_html_fragment([*map(Text, comparison.verdicts), *table, *notes], label="comparison")


def _cells(comparison: Comparison, name: str, metric: str) -> Row:
    row = next(row for row in comparison.rows if row.name == name)
    if metric not in row.values:
        return name, metric, "", "", "", "", ""
    value = row.values[metric]
    interval = "" if value.low is None or value.high is None else f"{value.low:.4f} to {value.high:.4f}"
    name_cell = f"{name} ({row.num_runs} seeds)" if row.num_runs > 1 else name
    if metric not in row.differences:
        return name_cell, metric, f"{value.value:.4f}", interval, "", "", ""
    difference = row.differences[metric]
    return (
        name_cell,
        metric,
        f"{value.value:.4f}",
        interval,
        f"{difference.value:+z.4f}",
        f"{difference.low:+z.4f} to {difference.high:+z.4f}",
        p_value_words(row.adjusted[metric]),
    )
