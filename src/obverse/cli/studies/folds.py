"""`obverse folds DATA`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from obverse.cli.options import Fixes, Layout, OptionalDevice, RecipeName, Settings, fixes_setting, layout_setting
from obverse.cli.printing.intervals import format_interval
from obverse.cli.printing.progress import show_progress
from obverse.errors import RecipeError, printable


def command(
    data: Annotated[Path, typer.Argument(help="The data: a folder, archive, table or manifest.")],
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="The folder for all folds; by default runs/DATA-FOLDS-folds.")
    ] = None,
    recipe: RecipeName = "auto",
    layout: Layout = None,
    fixes: Fixes = None,
    settings: Settings = None,
    device: OptionalDevice = None,
) -> None:
    """Train a model per fold and predict every sample with the one that never saw it; run again to go on."""
    from obverse.recipe import load_recipe
    from obverse.runs import short_name

    changes = [*(settings or []), *layout_setting(layout), *fixes_setting(fixes)]
    changes += [f"runtime.device={device}"] if device is not None else []
    strange = next((s for s in changes if s.startswith(("data.split.folds=", "data.split.fold="))), None)
    if strange:
        raise RecipeError(f"--set {strange}: the number of folds is --folds, and each is trained")
    chosen = load_recipe(recipe, changes)
    folder = out if out is not None else Path("runs") / f"{short_name(data)}-{folds}-folds"

    from obverse.runs.observers import ConsoleObserver
    from obverse.studies.folds import run_folds

    folded = run_folds(
        data, chosen, folder, folds=folds, make_observers=lambda: (ConsoleObserver(),), progress=show_progress
    )
    for name, metrics in folded.metrics.items():
        typer.echo(_line(name, metrics))
    typer.echo(f"report: {printable(str(folder / 'evaluation' / 'out-of-fold' / 'report.html'))}")


def _line(name: str, values: dict[str, Any]) -> str:
    """The headline of one evaluation."""
    from obverse.metrics import compared

    headline = compared(label_sets=values.get("labels") == "multi")[0]
    estimate, style = values[headline.name], ".1%" if headline.unit == "share" else ".4f"
    if estimate is None:
        return f"{name} {headline.title} not defined ({values['num_samples']} samples)"
    interval = format_interval(estimate, style)
    return f"{name} {headline.title} {estimate['value']:{style}} ({interval}, {values['num_samples']} samples)"
