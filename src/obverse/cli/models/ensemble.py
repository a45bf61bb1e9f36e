"""`obverse ensemble RUN RUN... --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli.options import Device
from obverse.cli.printing.hints import compare_hint, predict_hint
from obverse.cli.printing.measured import decoding_lines, result_line
from obverse.errors import printable


def command(
    runs: Annotated[list[Path], typer.Argument(help="Finished run folders that share classes, size and split.")],
    out: Annotated[Path, typer.Option(help="The new folder: bundle, evaluation, ensemble.json.")],
    soup: Annotated[
        bool, typer.Option("--soup", help="Average weights instead of probabilities, as long as val does not fall.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Join runs into one model: averaged probabilities, or averaged weights."""
    from obverse.studies.ensemble import make_ensemble, require_several

    require_several(runs)
    joined = make_ensemble(runs, out, soup=soup, device=device)
    if soup:
        typer.echo(printable(f"kept {len(joined.kept)} of {len(runs)} runs: {', '.join(joined.kept)}"))
    for metrics in joined.metrics.values():
        for line in (result_line(metrics), *decoding_lines(metrics)):
            typer.echo(line)
    typer.echo(f"predict: {predict_hint(joined.folder, joined.example)}")
    typer.echo(f"compare: {compare_hint(runs[0], joined.folder)}")
