"""`obverse sweep FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli.printing.progress import show_progress
from obverse.errors import BusyError, RecipeError, RefusedError, printable


def command(
    file: Annotated[
        Path, typer.Argument(help="The study's YAML file: recipe, variants, grid or search, seeds, criteria.")
    ],
    data: Annotated[Path | None, typer.Argument(help="The data; by default what the file's `data` names.")] = None,
    out: Annotated[Path | None, typer.Option(help="The study's folder to write; by default sweeps/FILE.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Train again the runs that failed before.")] = False,
) -> None:
    """Train every condition of a study with every seed; the same command again goes on."""
    from obverse.recipe import load_sweep

    spec = load_sweep(file)
    if data is None and spec.data is None:
        raise RecipeError("say what to train on: obverse sweep FILE DATA, or `data` in the file")
    source = data if data is not None else file.parent / str(spec.data)
    folder = out if out is not None else Path("sweeps") / file.stem

    from obverse.runs.observers import ConsoleObserver
    from obverse.studies.sweep import Sweep

    sweep = Sweep(
        spec, file, source, folder, make_observers=lambda: (ConsoleObserver(),), progress=show_progress, retry=retry
    )
    study = sweep.run()
    from .compare import print_verdicts

    typer.echo(study.state)
    print_verdicts(study.verdicts)
    typer.echo(f"table: {printable(str(folder / 'summary.md'))}, {printable(str(folder / 'table.csv'))}")
    if study.num_open:
        raise BusyError(f"{study.num_open} of {study.num_wanted} runs are still trained by other processes; the last "
                        "of them writes the whole table, and so does the same command later")  # fmt: skip
    if not study.runs_in("finished"):
        failed = study.runs_in("failed")[0].outcome
        raise (failed.error or RefusedError)(f"every run of the study failed; the first: {failed.reason}")
    missed = [verdict for verdict in study.verdicts if not verdict.is_met]
    if missed:
        raise RefusedError(f"{len(missed)} of {len(study.verdicts)} criteria are not met; the first is "
                           f"{missed[0].criterion!r} for {missed[0].run}")  # fmt: skip
