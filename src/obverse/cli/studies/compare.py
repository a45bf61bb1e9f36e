"""`obverse compare RUN RUN...`."""

from __future__ import annotations

import json
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
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, or folders of seeds; the others are compared with the first.")
    ],
    split: Annotated[str, typer.Option(help="The split to compare on: train, val or test.")] = "test",
    criteria: Annotated[Path | None, typer.Option(help="A YAML file of criteria to check; exit 76 if not met.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for report.html, summary.md and comparison.json; by default none.")
    ] = None,
    format: Annotated[Format, typer.Option(help="Form of the output.")] = Format.table,
) -> None:
    """Put runs side by side, with intervals and paired tests on the same samples."""
    from obverse.api.contenders import read_contenders, require_different
    from obverse.recipe import load_criteria

    asked = load_criteria(criteria) if criteria else ()
    if len(runs) < 2 and not asked:
        raise RecipeError("compare needs at least two runs, or --criteria")
    require_different(runs)
    from obverse.studies.compare import compare
    from obverse.studies.criteria import check_criteria, require_applicable

    contenders, unfinished = read_contenders(runs, split, may_be_unfinished=any(c.finished for c in asked))
    require_applicable(asked, contenders)
    comparison = compare(contenders) if contenders else None
    verdicts = check_criteria(asked, contenders, unfinished)
    report = None
    if comparison and out is not None:
        from obverse.studies.comparison import write_comparison

        report = write_comparison(comparison, contenders, out)
    if format is Format.json:
        values = {
            **(comparison.as_json() if comparison else {}),
            "criteria": [verdict.as_json() for verdict in verdicts],
        }
        typer.echo(json.dumps(values, indent=2))
    else:
        if comparison:
            print_comparison(comparison)
            if report is not None:
                typer.echo(f"report: {printable(str(report))}")
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
    from obverse.studies.comparison_table import HEADER, comparison_notes, comparison_rows

    table = Table(*HEADER, box=None, pad_edge=False, header_style="dim")
    for row in comparison_rows(comparison):
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(highlight=False, width=None if Console().is_terminal else 160)
    console.print(table)
    for line in (*comparison.verdicts, *comparison_notes(comparison)):
        console.print(Text(printable(line)))


def print_verdicts(verdicts: list[Verdict]) -> None:
    """One line per criterion and run."""
    for verdict in verdicts:
        mark = "met    " if verdict.is_met else "NOT met"
        typer.echo(printable(f"{mark} {verdict.criterion}: {verdict.run}: {verdict.reason}"))
