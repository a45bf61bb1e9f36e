"""`obverse probe DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli.options import Fixes, ImageColumn, ImageRoot, LabelColumn, Layout, OptionalDevice, RecipeName, Settings
from obverse.cli.printing.progress import show_features, show_progress
from obverse.errors import printable

if TYPE_CHECKING:
    from obverse.probing import Probe


def command(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="The data: a folder, archive, table or manifest.")],
    weights: Annotated[
        list[str] | None,
        typer.Option("--weights", help="Pretrained weights: a file, or a folder of files; repeat for several."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="A network: a timm name, torchvision:NAME or hf:NAME; repeat for several."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Input sizes in pixels, as 112,224 or 640x320; by default that of the weights.")
    ] = None,
    folds: Annotated[int, typer.Option(min=3, max=100, help="Folds of the cross-validation.")] = 5,
    samples: Annotated[
        int | None, typer.Option(min=10, help="Most samples to compare on; of more, a part is taken. 3000 by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for probe.json, probe.csv and report.html; by default probes/DATA.")
    ] = None,
    recipe: RecipeName = "auto",
    layout: Layout = None,
    label_column: LabelColumn = None,
    image_column: ImageColumn = None,
    image_root: ImageRoot = None,
    fixes: Fixes = None,
    settings: Settings = None,
    device: OptionalDevice = None,
) -> None:
    """Compare pretrained backbones on the data by simple heads on their features, before anything is trained."""
    from obverse.api.probing import Wanted, Watching, run_probe
    from obverse.api.short_forms import given_forms
    from obverse.runs import short_name

    own = ("weights", "model", "size")
    forms = given_forms({name: value for name, value in context.params.items() if name not in own})
    sizes = [part.strip() for part in size.split(",")] if size is not None else []
    folder = out if out is not None else Path("probes") / short_name(data)
    result = run_probe(
        data,
        recipe,
        settings or [],
        forms,
        wanted=Wanted(models=model or (), weights=weights or (), sizes=sizes, folds=folds, samples=samples),
        out=folder,
        watching=Watching(reading=show_progress, computing=show_features, notify=_print),
    )
    _print_table(result)
    for line in (*result.sentences, *(f"train: {line}" for line in result.commands)):
        _print(line)
    _print(f"report: {folder / 'report.html'}")


def _print_table(result: Probe) -> None:
    from rich.table import Table
    from rich.text import Text

    from obverse.cli.printing.tables import Console
    from obverse.probing import MOST_PRINTED

    rows = result.table(MOST_PRINTED)
    table = Table(*rows.header, box=None, pad_edge=False, header_style="dim")
    for row in rows.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(highlight=False, width=None if Console().is_terminal else 200)
    console.print(table)
    if len(result.rows) > MOST_PRINTED:
        _print(f"{len(result.rows) - MOST_PRINTED} more rows are in probe.csv")


def _print(line: str) -> None:
    typer.echo(printable(line))
