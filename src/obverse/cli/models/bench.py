"""`obverse bench MODEL`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cpus import MAX_THREADS
from obverse.errors import printable
from obverse.registry import ENGINES

if TYPE_CHECKING:
    from obverse.planning.bench import Bench

HEADER = ("engine", "threads", "batch", "p50 ms", "p95 ms", "samples/s", "GFLOP/s", "of the limit")


class Format(StrEnum):
    """How speeds are printed."""

    table = "table"
    json = "json"


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    engine: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(ENGINES[1:])}; repeat for several, by default all that are installed."),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, max=MAX_THREADS, help="Number of threads; repeat for several, by default 1 and all."),
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Samples per batch; repeat for several, by default 1 and 16.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Time to measure each row for, at least.")] = 2.0,
    format: Annotated[Format, typer.Option(help="Form of the output.")] = Format.table,
) -> None:
    """Measure how fast a model answers on this machine's processor, by engine, threads and batch size."""
    from obverse.bundle import read_bundle
    from obverse.cpus import num_usable_cpus
    from obverse.planning.bench import measure_speed
    from obverse.runs import explained

    with explained(model, "try a smaller --batch"):
        result = measure_speed(
            *read_bundle(model),
            engines=tuple(engine or ()),
            threads=tuple(threads or sorted({1, num_usable_cpus()})),
            batch_sizes=tuple(batch or (1, 16)),
            seconds=seconds,
            progress=lambda name: typer.echo(f"measuring: {name}", err=True),
        )
    if format is Format.json:
        typer.echo(json.dumps(result.as_json(), indent=2))
    else:
        print_bench(result)


def print_bench(result: Bench) -> None:
    """A line per engine, threads and batch size, and one for the limit of each number of threads."""
    from rich.table import Table

    from obverse.cli.printing.tables import Console

    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, name in enumerate(HEADER):
        table.add_column(name, justify="right" if place else "left")
    for threads, limit in result.limit_gflops.items():
        for row in result.rows:
            if row.threads == threads:
                numbers = (row.p50_ms, row.p95_ms, row.samples_per_second, row.gflops)
                table.add_row(
                    row.engine,
                    str(threads),
                    str(row.batch_size),
                    *(f"{number:.1f}" for number in numbers),
                    f"{row.share_of_limit:.0%}",
                )
        table.add_row("matrix product", str(threads), "", "", "", "", f"{limit:.1f}", "100%")
    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    console.print(table)
    console.print(
        printable(f"{result.processor}, {result.instructions}; {result.gflop_per_sample:.3g} GFLOP per sample")
    )
