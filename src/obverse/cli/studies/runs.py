"""`obverse runs [FOLDER]`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.errors import printable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from obverse.report import Table as Content
    from obverse.studies.leaderboard import Leaderboard


class Format(StrEnum):
    """How the runs are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def command(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the runs, at any depth.")] = Path("runs"),
    out: Annotated[
        Path | None, typer.Option(help="A folder for report.html, runs.csv and runs.json; by default none is written.")
    ] = None,
    format: Annotated[Format, typer.Option(help="Form of the output.")] = Format.table,
) -> None:
    """List past runs, the best first within the same data and metric, with paired tests."""
    from obverse.studies.leaderboard import read_leaderboard

    board = read_leaderboard(folder)
    if out is not None:
        board.write(out)
    if format is Format.json:
        typer.echo(json.dumps(board.as_json(), indent=2))
    elif format is Format.csv:
        typer.echo("\n".join(map(printable, board.to_csv().splitlines())))
    else:
        _print(board)
        if out is not None:
            typer.echo(f"report: {printable(str(out / 'report.html'))}, {printable(str(out / 'runs.csv'))}")


def _print(board: Leaderboard) -> None:
    from rich.console import Group
    from rich.text import Text

    from obverse.cli.printing.tables import Console
    from obverse.studies.leaderboard import printed_tables, summary

    console = Console(highlight=False, width=None if Console().is_terminal else 200)
    for title, content, sentences in printed_tables(board):
        lines = [Text(printable(line), "dim") for line in sentences]
        console.print(Group(Text(printable(title), "bold"), _table(content), *lines, Text("")))
    for line in (summary(board), *board.notes):
        console.print(Text(printable(line)))


def _table(content: Content) -> RichTable:
    from rich.table import Table
    from rich.text import Text

    table = Table(*content.header, box=None, pad_edge=False, header_style="dim")
    for row in content.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
