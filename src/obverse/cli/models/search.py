"""`obverse search MODEL PATHS --among FOLDER`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli.options import Device
from obverse.cli.printing.csv_rows import CsvRows, Spreadsheet
from obverse.errors import DataError, RecipeError, printable

from .predict import Column, Format, View, given_columns, given_inputs

if TYPE_CHECKING:
    from obverse.inference import Failure


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    among: Annotated[list[Path], typer.Option(help="Where to look: a folder or a picture; repeat for several.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Pictures and folders of pictures to look for.")] = None,
    view: View = None,
    column: Column = None,
    top_k: Annotated[int, typer.Option(min=1, help="Number of pictures to show for each.")] = 5,
    format: Annotated[Format, typer.Option(help="Form of the output.")] = Format.table,
    spreadsheet: Spreadsheet = False,
    device: Device = "auto",
) -> None:
    """Find the pictures that a model's encoder holds nearest to the given ones; exit 65 when some could not be read."""
    inputs = given_inputs(paths, view)
    if spreadsheet and format is not Format.csv:
        raise RecipeError("--spreadsheet is for --format csv")
    from obverse.inference.searching import search

    unread: list[Failure] = []
    columns = given_columns(column)
    results = search(model, inputs, among, top_k=top_k, columns=columns, device=device, unread=unread.append)
    if format is Format.json:
        typer.echo(json.dumps([{"id": each.id, "found": each.matches} for each in results], indent=2))
    elif format is Format.csv:
        rows = CsvRows(spreadsheet=spreadsheet)
        rows.write(["id", "rank", "found", "cosine"])
        for each in results:
            for rank, (name, cosine) in enumerate(each.matches, 1):
                rows.write([each.id, str(rank), name, cosine])
    else:
        for each in results:
            typer.echo(printable(each.id))
            for name, cosine in each.matches:
                typer.echo(f"  {cosine:6.3f}  {printable(name)}")
    if unread:
        raise DataError(f"{len(unread):,} of --among could not be read; the first: {unread[0].error}")
