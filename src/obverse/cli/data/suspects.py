"""`obverse suspects`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli.options import (
    Fixes,
    ImageColumn,
    ImageRoot,
    LabelColumn,
    Layout,
    OptionalDevice,
    RecipeName,
    Settings,
)
from obverse.cli.printing.progress import show_features, show_progress
from obverse.errors import printable

MOST_PRINTED = 10


def command(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="A run folder, a folder of `obverse folds`, or data.")],
    weights: Annotated[
        list[str] | None, typer.Option("--weights", help="For data: pretrained weights, a file or a folder of files.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="For data: the network, a timm name or hf:NAME.")] = None,
    size: Annotated[str | None, typer.Option(help="For data: the input size in pixels: 224, or WIDTHxHEIGHT.")] = None,
    most: Annotated[
        int | None, typer.Option(min=1, help="Suspects to list; by default twice the estimated number of errors.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder for suspects.csv and suspects.html; by default RUN/suspects or suspects/DATA."),
    ] = None,
    recipe: RecipeName = "auto",
    layout: Layout = None,
    label_column: LabelColumn = None,
    image_column: ImageColumn = None,
    image_root: ImageRoot = None,
    fixes: Fixes = None,
    settings: Settings = None,
    device: OptionalDevice = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an older suspects.csv.")] = False,
) -> None:
    """Rank the labels that are probably wrong, as a page to look at and a table for `train --fixes`."""
    from obverse.api.probing import Watching
    from obverse.api.suspecting import Asked, find_suspects, forms_of
    from obverse.runs import short_name

    is_ours = any((folder / "recipe.yaml").is_file() for folder in (source, source / "fold-0"))
    folder = out or (source / "suspects" if is_ours else Path("suspects") / short_name(source))
    result = find_suspects(
        source,
        recipe,
        settings or [],
        forms_of(context.params),
        asked=Asked(out=folder, weights=weights or (), most=most, force=force),
        watching=Watching(reading=show_progress, computing=show_features, notify=_print),
    )
    for line in result.sentences:
        _print(line)
    for suspect in result.ranking.suspects[:MOST_PRINTED]:
        given, suggested = ("|".join(names) or "no class" for names in (suspect.given, suspect.suggested))
        name = result.ranking.evidence.ids[suspect.place]
        _print(f"  {suspect.score:.2f}  {name}: {given}, rather {suggested} ({suspect.why})")
    _print(f"report: {result.page}, {result.table}")
    _print(f"train: {result.command}")


def _print(line: str) -> None:
    typer.echo(printable(line))
