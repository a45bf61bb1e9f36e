"""Printing the answers of a model that gives one class, one after another as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from obverse.errors import printable

from .csv_rows import CsvRows

if TYPE_CHECKING:
    from obverse.inference import Prediction


def print_block(prediction: Prediction) -> None:
    """For people."""
    typer.echo(printable(prediction.id))
    for name, probability in prediction.top:
        typer.echo(f"  {probability:7.2%}  {printable(name)}")
    for view, (name, probability) in prediction.by_view.items():
        typer.echo(f"  {printable(view)} alone: {printable(name)} {probability:.2%}")
    for view, (name, probability) in prediction.view_grades.items():
        typer.echo(f"  {printable(view)} by its own head: {printable(name)} {probability:.2%}")
    if prediction.views_disagree:
        typer.echo("  the views disagree")


NOTE = "(percentages are as the model gives them, not calibrated)"


def header(num_places: int) -> list[str]:
    """Of the CSV, without `error`."""
    return ["id", *(f"{what}_{place}" for place in range(1, num_places + 1) for what in ("class", "probability"))]


def print_row(prediction: Prediction, rows: CsvRows) -> None:
    """id, then class and probability from the likeliest down."""
    rows.write([prediction.id, *(cell for pair in prediction.top for cell in pair), ""])


def as_json(prediction: Prediction) -> dict[str, Any]:
    """An object."""
    return {
        "id": prediction.id,
        "label": prediction.label,
        "probability": prediction.probability,
        "top": [{"label": name, "probability": p} for name, p in prediction.top],
        "by_view": _of_views(prediction.by_view),
        "view_grades": _of_views(prediction.view_grades),
        "views_disagree": prediction.views_disagree,
    }


def _of_views(answers: dict[str, tuple[str, float]]) -> dict[str, dict[str, str | float]]:
    return {view: {"label": name, "probability": p} for view, (name, p) in answers.items()}
