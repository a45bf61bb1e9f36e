"""`obverse train DATA`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from obverse.cli.options import Fixes, ImageColumn, ImageRoot, LabelColumn, Layout, OptionalDevice, RecipeName, Settings
from obverse.cli.printing.hints import predict_hint
from obverse.cli.printing.measured import decoding_lines, result_line
from obverse.cli.printing.progress import show_features, show_progress
from obverse.cli.processes import run_processes
from obverse.cli.ranks import on_every_rank
from obverse.errors import RecipeError, printable
from obverse.interrupts import resumable
from obverse.launch import launched

NETWORK = "The network: a timm name, torchvision:NAME, hf:NAME, convnet, vit, cct, vgg or auto."
Model = Annotated[str | None, typer.Option(help=NETWORK)]
FILES = "Weights: a file or folder to recognise, hub or none; of several the best is taken."
Weights = Annotated[list[str] | None, typer.Option("--weights", help=FILES)]


@on_every_rank
def command(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Argument(help="The data: a folder, archive, table, manifest or run folder.")
    ] = None,
    recipe: RecipeName = "auto",
    layout: Layout = None,
    label_column: LabelColumn = None,
    image_column: ImageColumn = None,
    image_root: ImageRoot = None,
    fixes: Fixes = None,
    settings: Settings = None,
    run: Annotated[Path | None, typer.Option(help="The run folder to write; by default runs/DATA-DATE-TIME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the interrupted run in --run.")] = False,
    model: Model = None,
    weights: Weights = None,
    size: Annotated[str | None, typer.Option(help="The input size in pixels: 224 (a square), or WIDTHxHEIGHT.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training samples.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples per optimizer step.")] = None,
    lr: Annotated[float | None, typer.Option(help="The peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of weights, order and augmentation.")] = None,
    more_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to add, in a new run; DATA is a finished run.")
    ] = None,
    device: OptionalDevice = None,
    minutes: Annotated[float | None, typer.Option(help="A time budget for training, in minutes.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Number of training processes, one per GPU.")] = 1,
    track: Annotated[list[str] | None, typer.Option("--track", help="Also log to mlflow or wandb; repeat.")] = None,
    force: Annotated[bool, typer.Option("--force", help="With --resume: go on although something changed.")] = False,
) -> None:
    """Train, evaluate and write a run folder with report, plots, results and the model."""
    # Here, because they load the recipe's models, for which help does not wait.
    from obverse.api.short_forms import given_forms, recipe_of
    from obverse.api.training import open_folder, recipe_for_more_epochs, train_in

    forms = given_forms(context.params)
    named, chosen = ["--recipe"] * (recipe != "auto"), None
    if resume:
        more = ["--more-epochs"] * (more_epochs is not None)
        _require_resumable(run, data, [*forms, *named, *["--set"] * bool(settings), *more])
    elif force:
        raise RecipeError("--force belongs to --resume")
    elif data is None:
        raise RecipeError("say what to train on: obverse train DATA")
    elif more_epochs is None:
        chosen = recipe_of(recipe, settings or [], forms)
    _start_all(processes)
    if more_epochs is not None and data is not None:
        chosen = recipe_for_more_epochs(data, more_epochs, settings or [], forms, named)
    folder, chosen = open_folder(run, data, chosen)
    from obverse.runs.observers import ConsoleObserver

    with resumable(lambda: folder.is_resumable):
        observers = [ConsoleObserver()]
        bars = {"progress": show_progress, "computing": show_features}
        result = train_in(folder, data, chosen, observers=observers, force=force, **bars)
    lines = (result_line(result.metrics), *decoding_lines(result.metrics), f"report: {printable(str(result.report))}")
    typer.echo("\n".join(lines))
    typer.echo(f"predict: {predict_hint(result.run.path, result.example)}")


def _require_resumable(run: Path | None, data: Path | None, given: Sequence[str]) -> None:
    if run is None:
        raise RecipeError("--resume needs --run: which run should go on?")
    if given:
        raise RecipeError(f"--resume goes on with the run's own recipe; leave out {', '.join(given)}")
    if data is not None:
        raise RecipeError("--resume goes on with the run's own data; leave out DATA")


def _start_all(processes: int) -> None:
    """Where several processes are asked for and none of them is this one, start them, and end as they do."""
    launch = launched()
    if launch.world_size > 1 and processes not in (1, launch.world_size):
        raise RecipeError(f"--processes {processes}, but a launcher has started {launch.world_size}; leave it out")
    if processes > 1 and launch.world_size == 1:
        raise typer.Exit(run_processes(processes, sys.argv[1:]))
