"""Predictions on stdout as they come, in one of three formats; what has no answer is a row, too."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import typer

from obverse.errors import DataError, printable

from . import label_sets as print_sets
from . import one_class as print_one
from .csv_rows import CsvRows

if TYPE_CHECKING:
    from obverse.inference import Predictor

# Prints one answer.
Printer = Callable[[Any], None]


def print_answers(
    predictor: Predictor, answers: Iterable[Any], format: str, *, num_places: int, spreadsheet: bool
) -> None:
    """Print everything; DataError at the end when something had no answer. num_places: classes per row of a CSV."""
    from obverse.inference import Failure

    is_multi = predictor.bundle.multi_label
    of = print_sets if is_multi else print_one
    failures, num_answers = [], 0
    if format == "csv":
        rows = CsvRows(spreadsheet=spreadsheet)
        header = print_sets.header(predictor.classes) if is_multi else print_one.header(num_places)
        rows.write([*header, "error"])
    for answer in answers:
        is_failure = isinstance(answer, Failure)
        failures += [answer] if is_failure else []
        if format == "csv" and is_failure:
            rows.write([answer.id, *[""] * (len(header) - 1), answer.error])
        elif format == "csv":
            of.print_row(answer, rows)
        elif format == "json":
            values = {"id": answer.id, "error": answer.error} if is_failure else of.as_json(answer)
            typer.echo(("[" if not num_answers else ",") + "\n" + _indented(values), nl=False)
        elif is_failure:
            typer.echo(f"{printable(answer.id)}\n  no answer: {printable(answer.error)}")
        else:
            of.print_block(answer)
        num_answers += 1
        sys.stdout.flush()
    if format == "json":
        typer.echo("\n]")
    elif format == "table" and len(failures) < num_answers:
        typer.echo(of.NOTE)
    if failures:
        raise DataError(f"{len(failures)} of {num_answers} without an answer; the first: {failures[0].error}")


def _indented(values: dict[str, Any]) -> str:
    return "\n".join(f"  {line}" for line in json.dumps(values, indent=2).splitlines())
