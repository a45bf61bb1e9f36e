"""`obverse plan [DATA]`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from obverse.cli.options import Layout, OptionalDevice, RecipeName, Settings, layout_setting
from obverse.cli.printing.progress import show_progress
from obverse.errors import RecipeError, printable

if TYPE_CHECKING:
    from obverse.manifest import Index
    from obverse.recipe import Recipe

MOST_GB = 1e6


def _number(value: float | None) -> float | None:
    """`nan` lies between all bounds."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


def command(
    data: Annotated[Path | None, typer.Argument(help="The data; without it say --classes and --samples.")] = None,
    recipe: RecipeName = "auto",
    layout: Layout = None,
    settings: Settings = None,
    device: OptionalDevice = None,
    memory: Annotated[
        float | None,
        typer.Option(min=0, max=MOST_GB, callback=_number, help="Memory of the device in GB; by default as here."),
    ] = None,
    classes: Annotated[int, typer.Option(min=2, max=100_000, help="Number of classes, without DATA.")] = 10,
    samples: Annotated[int, typer.Option(min=10, max=10_000_000, help="Number of samples, without DATA.")] = 1000,
    speed: Annotated[
        float | None,
        typer.Option(
            "--pictures-per-second",
            min=0.01,
            max=1e9,
            callback=_number,
            help="Measured training speed of one device; the time is then computed from it.",
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=100_000, help="Number of processes, one per device.")] = 1,
    find_lr: Annotated[bool, typer.Option("--find-lr", help="Also search a learning rate, on train.")] = False,
    output: Annotated[Literal["table", "json"], typer.Option("--format", help="Form of the output.")] = "table",
) -> None:
    """Say how much memory and time a run needs before it starts, and what to set so that it fits."""
    from obverse.recipe import load_recipe

    chosen = load_recipe(recipe, [*(settings or []), *layout_setting(layout)])
    if data is None and find_lr:
        raise RecipeError("--find-lr trains on pictures: say which, obverse plan DATA --find-lr")
    from obverse.manifest import build_index
    from obverse.planning.imagined import imagined_index
    from obverse.planning.plan import make_plan

    if data is None:
        index = imagined_index(chosen, num_classes=classes, num_samples=samples)
    else:
        _notify(f"reading the pictures of {str(data)!r}")
        index = build_index(data, chosen.data, show_progress)
    chosen, note = _with_first(chosen, index)
    plan = make_plan(chosen, index, device=device, gigabytes=memory, speed=speed, processes=processes, notify=_notify)
    values, lines = plan.to_json() | {"choice": note}, plan.lines()
    if note is not None:
        lines.insert(1, ("choice", note))
    if find_lr:
        from obverse.experiment import set_up
        from obverse.planning.lr_finder import find_rate

        _notify("searching a learning rate: up to 100 training steps")
        trial = find_rate(set_up(plan.recipe, index.manifest))
        values["learning_rate"] = {"suggestion": trial.suggestion, "rates": trial.rates, "losses": trial.losses}
        steps = f"range test over {len(trial.rates)} steps; the recipe has {plan.recipe.optim.lr:g}"
        lines.append(("learning rate", f"{trial.suggestion:g} ({steps})"))
    if output == "json":
        typer.echo(json.dumps(values, indent=2))
    else:
        for heading, text in lines:
            typer.echo(f"{heading:14} {text}")


def _with_first(recipe: Recipe, index: Index) -> tuple[Recipe, str | None]:
    """The recipe with the first of the backbones among which training chooses, and a note; None where it does not."""
    from obverse.probing import contestants

    candidates = contestants(recipe, index)
    if len(candidates) < 2:
        return recipe, None
    first, *others = [candidate.name for candidate in candidates]
    note = f"train compares {first}, {', '.join(others)} on the data first, and takes the best; planned for {first}"
    return recipe.changed({"model.backbone": candidates[0].backbone}), note


def _notify(line: str) -> None:
    """What takes time is said before it begins, on stderr: the plan itself is on stdout."""
    typer.echo(printable(line), err=True)
