"""`obverse compare RUN RUN...`."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.errors import RecipeError, RefusedError, printable

if TYPE_CHECKING:
    from obverse.studies.compare import Comparison
    from obverse.studies.criteria import Verdict


class Format(StrEnum):
    """How a comparison is printed."""

    table = "table"
    json = "json"


def command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the first is what the others are held against.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    criteria: Annotated[Path | None, typer.Option(help="A YAML file of criteria to check; exit 76 if not met.")] = None,
    format: Annotated[Format, typer.Option(help="table or json.")] = Format.table,
) -> None:
    """Put runs side by side, with intervals and paired tests on the same samples."""
    from obverse.api.contenders import read_contenders, require_different
    from obverse.recipe import load_criteria

    asked = load_criteria(criteria) if criteria else ()
    if len(runs) < 2 and not asked:
        raise RecipeError("compare needs at least two runs, or --criteria")
    require_different(runs)
    from obverse.studies.compare import compare
    from obverse.studies.criteria import check_criteria

    contenders, unfinished = read_contenders(runs, split, may_be_unfinished=any(c.finished for c in asked))
    comparison = compare(contenders) if contenders else None
    verdicts = check_criteria(asked, contenders, unfinished)
    if format is Format.json:
        values = {**(comparison.as_json() if comparison else {}), "criteria": [asdict(v) for v in verdicts]}
        typer.echo(json.dumps(values, indent=2))
    else:
        if comparison:
            print_comparison(comparison)
        print_verdicts(verdicts)
    missed = [verdict for verdict in verdicts if not verdict.is_met]
    if missed:
        raise RefusedError(f"{len(missed)} of {len(verdicts)} criteria are not met; the first is "
                           f"{missed[0].criterion!r} for {missed[0].run}")  # fmt: skip


def print_comparison(comparison: Comparison) -> None:
    """One line per run and metric."""
    from rich.table import Table
    from rich.text import Text

    from obverse.cli.printing.tables import Console

    table = Table("run", "metric", "value", "95 % interval", "difference", "95 % interval", "p",
                  box=None, pad_edge=False, header_style="dim")  # fmt: skip
    for metric in comparison.metrics:
        for row in comparison.rows:
            cells = [Text(printable(cell)) for cell in _cells(comparison, row.name, metric)]
            table.add_row(*cells)
    console = Console(highlight=False, width=None if Console().is_terminal else 160)
    console.print(table)
    adjusted = ", adjusted for several comparisons (Holm)" if len(comparison.rows) > 2 else ""
    base = printable(comparison.rows[0].name)
    tests = list(dict.fromkeys(found.test for row in comparison.rows for found in row.differences.values()))
    said = f"differences are from {base}, on the same samples; p by {' or '.join(tests) or 'no test'}{adjusted}"
    console.print(Text(printable(said)))
    for line in (*comparison.sentences, *(f"{row.name}: {row.note}" for row in comparison.rows if row.note)):
        console.print(Text(printable(line)))


def _cells(comparison: Comparison, name: str, metric: str) -> tuple[str, ...]:
    row = next(row for row in comparison.rows if row.name == name)
    if metric not in row.values:
        return name, metric, "", "", "", "", ""
    value = row.values[metric]
    interval = "" if value.low is None or value.high is None else f"{value.low:.4f} to {value.high:.4f}"
    shown = f"{name} ({row.num_runs} seeds)" if row.num_runs > 1 else name
    if metric not in row.differences:
        return shown, metric, f"{value.value:.4f}", interval, "", "", ""
    found = row.differences[metric]
    low_high = f"{found.low:+.4f} to {found.high:+.4f}"
    return shown, metric, f"{value.value:.4f}", interval, f"{found.value:+.4f}", low_high, f"{row.adjusted[metric]:.3g}"


def print_verdicts(verdicts: list[Verdict]) -> None:
    """One line per criterion and run."""
    for verdict in verdicts:
        mark = "met    " if verdict.is_met else "NOT met"
        typer.echo(printable(f"{mark} {verdict.criterion}: {verdict.run}: {verdict.said}"))
