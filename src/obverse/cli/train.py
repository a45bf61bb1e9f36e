"""`obverse train DATA`."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obverse.errors import RecipeError, printable
from obverse.launch import launched

from .evaluate import set_lines
from .options import Layout, OptionalDevice, layout_setting
from .progress import show_progress
from .ranks import on_every_rank

if TYPE_CHECKING:
    from obverse.runs.rundir import RunFolder

# The loaders' processes of a rank that was killed hold its lock until they notice.
ENDING_SECONDS = 30


@on_every_rank
def command(
    data: Annotated[Path | None, typer.Argument(help="A folder, an archive, a table or a manifest.")] = None,
    recipe: Annotated[str, typer.Option(help="A shipped recipe's name or a YAML file.")] = "auto",
    layout: Layout = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Change a field: optim.lr=3e-4")] = None,
    run: Annotated[Path | None, typer.Option(help="The run folder; by default runs/DATA-DATE-TIME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --run.")] = False,
    device: OptionalDevice = None,
    minutes: Annotated[float | None, typer.Option(help="A time budget for training.")] = None,
    track: Annotated[list[str] | None, typer.Option("--track", help="Also tell mlflow or wandb.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --resume: go on although recipe or data have changed.")
    ] = False,
) -> None:
    """Train, evaluate and write a run folder with report, plots, results and the model."""
    from obverse.recipe import load_recipe

    changes = [*(settings or []), *layout_setting(layout)]
    changes += [f"training.minutes={minutes}"] if minutes is not None else []
    changes += [f"runtime.device={device}"] if device is not None else []
    changes += [f"training.trackers=[{', '.join(track)}]"] if track else []
    if resume:
        if run is None:
            raise RecipeError("--resume needs --run: which run should go on?")
        if changes or recipe != "auto":
            raise RecipeError(
                "--resume goes on with the run's own recipe; leave out --recipe, --set, --layout, --device, --minutes "
                "and --track"
            )
        if data is not None:
            raise RecipeError("--resume goes on with the run's own data; leave out DATA")
    elif force:
        raise RecipeError("--force belongs to --resume")
    elif data is None:
        raise RecipeError("say what to train on: obverse train DATA")
    else:
        chosen = load_recipe(recipe, changes)
    folder = _folder(run, data)
    resume = resume or folder.began_under(launched())
    # Before torch is loaded, which takes seconds: of several starts in one folder all but one leave at once.
    if resume:
        folder.reopen()
    else:
        folder.claim()

    from obverse.experiment import resume_run, start_run
    from obverse.runs.observers import ConsoleObserver

    console = ConsoleObserver()
    if resume:
        result = resume_run(folder, observers=[console], force=force)
    else:
        assert data is not None
        result = start_run(data, chosen, folder, observers=[console], progress=show_progress)
    typer.echo(_result_line(result.metrics))
    typer.echo(f"report: {printable(str(result.report))}")
    typer.echo(f"predict: obverse predict {printable(shlex.quote(str(result.run.path)))} PICTURE")


def _folder(run: Path | None, data: Path | None) -> RunFolder:
    from obverse.runs.rundir import RunFolder, default_run_path

    launch = launched()
    if launch.max_restarts and run is None:
        raise RecipeError("torchrun --max-restarts needs --run, so that processes that are started again find the run")
    path = run if run is not None else default_run_path(data or Path(), datetime.now())
    return RunFolder(path, patience_seconds=ENDING_SECONDS if launch.num_restarts else 0)


def _result_line(metrics: dict[str, Any]) -> str:
    if metrics.get("labels") == "multi":
        return f"{metrics['split']} {', '.join(set_lines(metrics))} ({metrics['num_samples']} samples)"
    accuracy = metrics["accuracy"]
    return (
        f"{metrics['split']} accuracy {accuracy['value']:.1%} "
        f"(95 % interval {accuracy['low']:.1%} to {accuracy['high']:.1%}, {metrics['num_samples']} samples)"
    )
