"""`obverse plan [DATA]`."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from obverse.cli.options import Layout, OptionalDevice, RecipeName, Settings, layout_setting
from obverse.cli.printing.progress import show_progress
from obverse.errors import RecipeError, printable

if TYPE_CHECKING:
    from obverse.manifest import Index
    from obverse.planning.lr_finder import RateTest
    from obverse.planning.plan import Plan
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
    if device is not None and memory is None:
        chosen = chosen.changed({"runtime.device": device})
    chosen, names = _with_first(chosen, index, is_elsewhere=memory is not None)
    plan = make_plan(chosen, index, device=device, gigabytes=memory, speed=speed, processes=processes, notify=_notify)
    plan = replace(plan, num_of_choice=_num_of_choice(chosen, index))
    values, lines = plan.to_json() | {"compared": names}, plan.lines()
    if len(names) > 1:
        lines.insert(1, ("compared", f"train first compares {', '.join(names)} on the data and takes the best of them; "
                                     "this plan is for the first"))  # fmt: skip
    if find_lr:
        trial = _rate_trial(plan, index)
        values["learning_rate"] = {"suggestion": trial.suggestion, "rates": trial.rates, "losses": trial.losses}
        steps = f"range test over {len(trial.rates)} steps; the recipe has {plan.recipe.optim.lr:g}"
        lines.append(("learning rate", f"{trial.suggestion:g} ({steps})"))
    if output == "json":
        typer.echo(json.dumps(values, indent=2))
    else:
        for heading, text in lines:
            typer.echo(f"{heading:14} {text}")


def _with_first(recipe: Recipe, index: Index, *, is_elsewhere: bool) -> tuple[Recipe, list[str]]:
    """The recipe with the first of the backbones among which training chooses, and the names of all of them.

    is_elsewhere: whether the plan is for another machine, whose cache of the hub is not known.
    """
    from obverse.probing import contestants
    from obverse.recipe import AutoBackbone

    auto = recipe.model.backbone
    if is_elsewhere and not (isinstance(auto, AutoBackbone) and auto.files):
        return recipe, []
    candidates = contestants(recipe, index)
    if not candidates:
        return recipe, []
    return recipe.changed({"model.backbone": candidates[0].backbone}), [candidate.name for candidate in candidates]


def _num_of_choice(recipe: Recipe, index: Index) -> int:
    """Number of trainings by which a run chooses among ways of training; 0 where it does not."""
    from obverse.experiment import resolve, with_digest
    from obverse.studies.choice import auto_ways

    if recipe.choice is None:
        return 0
    ways = recipe.choice.ways
    if ways == "auto":
        ways = auto_ways(recipe, resolve(with_digest(recipe), index), index)
    return recipe.choice.folds * len(ways)


def _rate_trial(plan: Plan, index: Index) -> RateTest:
    from obverse.experiment import set_up
    from obverse.planning.lr_finder import find_rate

    _notify("searching a learning rate: up to 100 training steps")
    return find_rate(set_up(plan.recipe, index.manifest))


def _notify(line: str) -> None:
    """What takes time is said before it begins, on stderr: the plan itself is on stdout."""
    typer.echo(printable(line), err=True)
