"""The table of a quantised export: the exact and the quantised file side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obverse.api.quantising import Quantised

HEADER = ("file", "MB", "one sample, ms", "samples/s", "accuracy", "log loss")


def print_quantised(result: Quantised) -> None:
    """One line per file, then the paired test."""
    from rich.table import Table

    from .tables import Console

    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, name in enumerate(HEADER):
        table.add_column(name, justify="right" if place else "left")
    for file in (result.before, result.after):
        table.add_row(
            file.name,
            f"{file.num_bytes / 1e6:.2f}",
            f"{file.milliseconds:.1f}",
            f"{file.samples_per_second:.1f}",
            f"{file.score('accuracy'):.2%}",
            f"{file.score('loss'):.4f}",
        )
    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    console.print(table)
    console.print(result.words)
