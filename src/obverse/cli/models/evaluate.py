"""`obverse evaluate RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli.options import Device, Layout
from obverse.cli.printing.measured import measured_lines
from obverse.errors import printable


def command(
    run: Annotated[Path, typer.Argument(help="A run folder, or with --data and --out a bundle.")],
    split: Annotated[
        str | None, typer.Option(help="train, val or test: of the run's own data (test), or of --data (all of it).")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Other labelled data to measure on.")] = None,
    layout: Layout = None,
    out: Annotated[Path | None, typer.Option(help="The output folder; by default below RUN/evaluation.")] = None,
    device: Device = "auto",
) -> None:
    """Measure a trained model and write its report."""
    from obverse.evaluation import Seen
    from obverse.experiment import evaluate_run

    folder, metrics = evaluate_run(run, split=split, data=data, layout=layout, out=out, device=device)
    for line in measured_lines(metrics):
        typer.echo(line)
    for sentence in Seen(**metrics["seen"]).sentences(metrics["num_samples"]):
        typer.echo(sentence)
    typer.echo(f"report: {printable(str(folder / 'report.html'))}")
