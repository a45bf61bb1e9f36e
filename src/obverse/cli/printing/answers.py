"""Predictions on stdout as they come, in one of three formats; what has no answer is a row, too."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from obverse.errors import DataError, printable

from .csv_rows import CsvRows
from .predictions import header, note, print_block, print_row

if TYPE_CHECKING:
    from obverse.inference import Predictor


def print_answers(
    predictor: Predictor, answers: Iterable[Any], format: str, *, num_places: int, spreadsheet: bool
) -> None:
    """Print everything; DataError at the end when something had no answer. num_places: classes per row of a CSV."""
    from obverse.inference import Failure, as_json

    kind = predictor.bundle.kind
    is_set, decode = kind.is_set, getattr(kind, "decode", "mode")
    has_sets = predictor.bundle.output.sets is not None
    num_similar = 0 if predictor.among is None else predictor.num_similar
    failures, num_answers = [], 0
    if format == "csv":
        rows = CsvRows(spreadsheet=spreadsheet)
        columns = header(predictor.classes, num_places, is_set=is_set, has_sets=has_sets, num_similar=num_similar)
        columns.append("error")
        rows.write(columns)
    for answer in answers:
        is_failure = isinstance(answer, Failure)
        failures += [answer] if is_failure else []
        if format == "csv" and is_failure:
            rows.write([answer.id, *[""] * (len(columns) - 2), answer.error])
        elif format == "csv":
            print_row(answer, rows, num_similar=num_similar)
        elif format == "json":
            values = {"id": answer.id, "error": answer.error} if is_failure else as_json(answer)
            typer.echo(("[" if not num_answers else ",") + "\n" + _indented(values), nl=False)
        elif is_failure:
            typer.echo(f"{printable(answer.id)}\n  no answer: {printable(answer.error)}")
        else:
            print_block(answer, decode=decode, views=predictor.views)
        num_answers += 1
        sys.stdout.flush()
    if format == "json":
        typer.echo("\n]")
    elif format == "table" and len(failures) < num_answers:
        typer.echo(note(predictor.bundle.output))
    if failures:
        raise DataError(f"{len(failures)} of {num_answers} without an answer; the first: {failures[0].error}")


def _indented(values: dict[str, Any]) -> str:
    return "\n".join(f"  {line}" for line in json.dumps(values, indent=2).splitlines())
