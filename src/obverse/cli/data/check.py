"""`obverse check DATA`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli.options import (
    Fixes,
    ImageColumn,
    ImageRoot,
    LabelColumn,
    Layout,
    Settings,
    fixes_setting,
    layout_setting,
    table_settings,
)
from obverse.errors import RecipeError, printable

if TYPE_CHECKING:
    from obverse.manifest.check import Check

EXIT_ERRORS = 65
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def command(
    data: Annotated[Path, typer.Argument(help="The data: a folder, archive, table, manifest or run folder.")],
    out: Annotated[Path, typer.Option(help="The folder for check.json and check.html.")] = Path("."),
    layout: Layout = None,
    label_column: LabelColumn = None,
    image_column: ImageColumn = None,
    image_root: ImageRoot = None,
    fixes: Fixes = None,
    settings: Settings = None,
    advisory: Annotated[
        bool,
        typer.Option(
            help="Whether to also look for near duplicates, exchanged views and shortcuts, which takes longer."
        ),
    ] = True,
    preview: Annotated[
        bool, typer.Option("--preview", help="Also draw pictures as a model sees them in training.")
    ] = False,
    recipe: Annotated[str, typer.Option(help="For --preview: a shipped recipe's name or a YAML file.")] = "auto",
) -> None:
    """Say what is wrong with a data set, and show it; exit 65 when something cannot be trained on."""
    from obverse.manifest.check import check_data, require_free, write_check
    from obverse.recipe import load_recipe

    changes = [*(settings or []), *layout_setting(layout), *table_settings(label_column, image_column, image_root)]
    changes += fixes_setting(fixes)
    strange = next((change for change in changes if not change.startswith(("data.", "data="))), None)
    if not preview and (strange is not None or recipe != "auto"):
        what = f"--set {strange}" if strange is not None else f"--recipe {recipe}"
        raise RecipeError(f"{what}: only fields of `data` matter to a check without --preview")
    chosen = load_recipe(recipe, changes)
    spec = chosen.data
    require_free(out)
    check = check_data(data, spec, _show_progress, advisory=advisory)
    json_file, html_file = write_check(check, out)
    _print(check)
    typer.echo(f"report: {printable(str(html_file))}, {printable(str(json_file))}")
    if check.counts["error"]:
        if preview:
            typer.echo("preview: none, because nothing can be trained on this data; mend the errors first")
        raise typer.Exit(EXIT_ERRORS)
    if preview:
        from obverse.experiment import write_preview

        sheet, reasons = write_preview(data, chosen, out, _show_progress)
        for line in (*reasons, f"preview: {sheet}"):
            typer.echo(printable(line))


def _print(check: Check) -> None:
    from rich.table import Table
    from rich.text import Text

    from obverse.cli.printing.tables import Console
    from obverse.manifest.check import HEADER, count_sentence, finding_rows

    console = Console(highlight=False)
    console.print(Text(printable(check.summary)))
    table = Table(*HEADER, box=None, pad_edge=False, header_style="dim")
    for severity, *cells in finding_rows(check):
        table.add_row(Text(severity, _STYLES[severity]), *(Text(printable(cell)) for cell in cells))
    if table.rows:
        console.print(table)
    console.print(Text(count_sentence(check)))


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty() and (done % 50 == 0 or done == total):
        sys.stderr.write(f"\rlooking at pictures {done}/{total}" + ("\n" if done == total else ""))
        sys.stderr.flush()
