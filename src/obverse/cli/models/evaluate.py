"""`obverse evaluate RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli.options import Device, Layout
from obverse.cli.printing.augmented import augmentation_lines
from obverse.cli.printing.intervals import format_interval
from obverse.cli.printing.measured import measured_lines
from obverse.errors import RecipeError, printable


def command(
    run: Annotated[Path, typer.Argument(help="A run folder, or with --data and --out a bundle.")],
    split: Annotated[
        str | None, typer.Option(help="train, val or test: of the run's own data (test), or of --data (all of it).")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Other labelled data to measure on.")] = None,
    foreign: Annotated[
        Path | None, typer.Option(help="Pictures that do not belong, to measure how well the run rejects them.")
    ] = None,
    layout: Layout = None,
    out: Annotated[Path | None, typer.Option(help="The output folder; by default below RUN/evaluation.")] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Only print what the mean over mirror images gains on the split and costs.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Measure a trained model and write its report."""
    if tta:
        if data is not None or foreign is not None or layout is not None or out is not None:
            raise RecipeError("--tta measures a split of the run's own data and writes nothing; leave out --data, "
                              "--foreign, --layout and --out")  # fmt: skip
        from obverse.experiment import measure_augmentation

        for line in augmentation_lines(measure_augmentation(run, split=split or "test", device=device)):
            typer.echo(line)
        return
    from obverse.evaluation import Seen
    from obverse.experiment import evaluate_foreign, evaluate_run
    from obverse.trust import foreign_sentence, foreign_verdict, foreign_warnings

    if foreign is not None:
        if data is not None or layout is not None:
            raise RecipeError("--foreign measures rejection alone; leave out --data and --layout")
        folder, values = evaluate_foreign(run, foreign, split=split or "test", out=out, device=device)
        for warning in foreign_warnings(values):
            typer.echo(printable(f"Warning: {warning}"), err=True)
        typer.echo(printable(foreign_verdict(values)))
        typer.echo(printable(foreign_sentence(values)))
        for name, estimate in values["auroc"].items():
            typer.echo(f"AUROC {name.replace('_', ' ')} {estimate['value']:.4f} ({format_interval(estimate, '.4f')})")
        typer.echo(f"report: {printable(str(folder / 'report.html'))}")
        return
    folder, metrics = evaluate_run(run, split=split, data=data, layout=layout, out=out, device=device)
    for line in measured_lines(metrics):
        typer.echo(line)
    for sentence in Seen(**metrics["seen"]).sentences(metrics["num_samples"]):
        typer.echo(sentence)
    typer.echo(f"report: {printable(str(folder / 'report.html'))}")
