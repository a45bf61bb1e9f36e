"""Predictions on stdout as they come, in one of three formats; what has no answer is a row, too."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import typer

from obverse.errors import DataError, printable

from .csv_rows import CsvRows
from .predictions import print_block

if TYPE_CHECKING:
    from obverse.inference import Failure, Prediction, Predictor

    Answer = Prediction | Failure


def print_answers(
    predictor: Predictor, answers: Iterable[Answer], format: str, *, num_top: int, spreadsheet: bool
) -> None:
    """Print everything; DataError at the end when something had no answer. num_top: classes per row of a CSV."""
    from obverse.inference import Failure

    show = {"csv": _csv, "json": _json, "table": _blocks}[format]
    num_answers, num_failures, first_error = 0, 0, ""

    def counted() -> Iterator[Answer]:
        nonlocal num_answers, num_failures, first_error
        for answer in answers:
            num_answers += 1
            if isinstance(answer, Failure):
                num_failures += 1
                first_error = first_error or answer.error
            yield answer

    show(predictor, counted(), num_top, spreadsheet)
    require_answers(num_answers, num_failures, first_error)


def require_answers(num_answers: int, num_failures: int, first_error: str) -> None:
    """DataError when something had no answer."""
    if num_failures:
        raise DataError(f"{num_failures:,} of {num_answers:,} without an answer; the first: {first_error}")


def _csv(predictor: Predictor, answers: Iterable[Answer], num_top: int, spreadsheet: bool) -> None:
    from obverse.inference import Rows

    rows, lines = Rows.of(predictor, num_top), CsvRows(spreadsheet=spreadsheet)
    lines.write(rows.columns)
    for answer in answers:
        lines.write(rows.cells(answer))


def _json(predictor: Predictor, answers: Iterable[Answer], num_top: int, spreadsheet: bool) -> None:
    from obverse.inference import as_json

    before = "[\n"
    for answer in answers:
        typer.echo(before + _indented(as_json(answer)), nl=False)
        sys.stdout.flush()
        before = ",\n"
    typer.echo("[]" if before == "[\n" else "\n]")


def _blocks(predictor: Predictor, answers: Iterable[Answer], num_top: int, spreadsheet: bool) -> None:
    from obverse.inference import Failure, percent_note

    decode, has_answer = getattr(predictor.bundle.kind, "decode", "mode"), False
    for answer in answers:
        if isinstance(answer, Failure):
            typer.echo(f"{printable(answer.id)}\n  no answer: {printable(answer.error)}")
        else:
            print_block(answer, decode=decode, views=predictor.views)
            has_answer = True
        sys.stdout.flush()
    if has_answer:
        typer.echo(f"({percent_note(predictor)})")


def _indented(values: dict[str, Any]) -> str:
    return "\n".join(f"  {line}" for line in json.dumps(values, indent=2).splitlines())
