"""`obverse evaluate RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from obverse.cli.options import Device, Layout
from obverse.cli.printing.intervals import shown_interval
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
    for line in set_lines(metrics) if metrics.get("labels") == "multi" else _lines(metrics):
        typer.echo(line)
    for sentence in Seen(**metrics["seen"]).sentences(metrics["num_samples"]):
        typer.echo(sentence)
    typer.echo(f"report: {printable(str(folder / 'report.html'))}")


def set_lines(metrics: dict[str, Any]) -> list[str]:
    """What comes first of a multi-label evaluation."""
    names = {"map": "mAP", "macro_f1": "macro F1", "micro_f1": "micro F1", "subset_accuracy": "subset accuracy"}
    return [f"{name} {metrics[key]['value']:.4f}" for key, name in names.items() if metrics[key]]


def _lines(metrics: dict[str, Any]) -> list[str]:
    accuracy, macro_f1 = metrics["accuracy"], metrics["macro_f1"]
    lines = [f"accuracy {accuracy['value']:.4f} ({shown_interval(accuracy, '.4f')})"]
    lines += [f"macro F1 {macro_f1['value']:.4f}"] if macro_f1 else []
    return lines + [f"top-{k} accuracy {share['value']:.4f}" for k, share in metrics["top_k"].items()]
