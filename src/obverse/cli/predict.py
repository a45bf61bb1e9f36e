"""`obverse predict MODEL PATHS`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obverse.errors import RecipeError, printable

from . import print_sets
from .options import Device

if TYPE_CHECKING:
    from obverse.inference import Prediction


View = Annotated[list[str] | None, typer.Option(help="A view of one sample: obverse=a.jpg; repeat per view.")]
Column = Annotated[
    list[str] | None, typer.Option(help="A value beside the pictures, if the model sees it: year=1909; repeat.")
]


class Format(StrEnum):
    """How predictions are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Pictures, folders and archives of pictures.")] = None,
    view: View = None,
    column: Column = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="How many classes to show; by default 3.")] = None,
    format: Annotated[Format, typer.Option(help="How to print.")] = Format.table,
    device: Device = "auto",
) -> None:
    """Predict pictures with a trained model."""
    inputs = given_inputs(paths, view)
    from obverse.inference import load

    columns = given_columns(column)
    predictor = load(model, device=device)
    predictions: Any = predictor.predict(inputs, columns=columns, top_k=top_k)
    of_one = {"table": print_table, "csv": print_csv, "json": print_json}
    of_sets = {"table": print_sets.print_table, "csv": print_sets.print_csv, "json": print_sets.print_json}
    (of_sets if predictor.bundle.multi_label else of_one)[format.value](predictions)


def given_inputs(paths: Sequence[Path] | None, view: Sequence[str] | None) -> list[Any]:
    """What a predictor takes, from the command line."""
    inputs: list[Any] = list(paths or [])
    if view:
        inputs.append({name: Path(file) for name, file in _pairs("view", view, "obverse=coin.jpg").items()})
    if not inputs:
        raise RecipeError("nothing to predict: give at least one picture, a folder, or --view NAME=FILE")
    return inputs


def given_columns(column: Sequence[str] | None) -> dict[str, str]:
    """Values of extra columns, from the command line."""
    return _pairs("column", column or [], "year=1909")


def _pairs(option: str, pairs: Sequence[str], example: str) -> dict[str, str]:
    values, what = {}, "FILE" if option == "view" else "VALUE"
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise RecipeError(f"--{option} {pair}: write it as NAME={what}, for example {example}")
        if name in values:
            raise RecipeError(f"--{option} {name} is given twice; one command takes it once")
        values[name] = value
    return values


def print_table(predictions: Sequence[Prediction]) -> None:
    """A block per sample, for people."""
    for prediction in predictions:
        typer.echo(printable(prediction.id))
        for name, probability in prediction.top:
            typer.echo(f"  {probability:7.2%}  {printable(name)}")
        for view, (name, probability) in prediction.by_view.items():
            typer.echo(f"  {printable(view)} alone: {printable(name)} {probability:.2%}")
        for view, (name, probability) in prediction.view_grades.items():
            typer.echo(f"  {printable(view)} by its own head: {printable(name)} {probability:.2%}")
        if prediction.views_disagree:
            typer.echo("  the views disagree")
    typer.echo("(percentages are as the model gives them, not calibrated)")


def print_csv(predictions: Sequence[Prediction]) -> None:
    """One row per sample: id, then class and probability from the likeliest down."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    places = range(1, len(predictions[0].top) + 1)
    writer.writerow(["id", *(f"{what}_{place}" for place in places for what in ("class", "probability"))])
    for prediction in predictions:
        writer.writerow(
            [printable(prediction.id), *(cell for name, p in prediction.top for cell in (name, f"{p:.6f}"))]
        )


def print_json(predictions: Sequence[Prediction]) -> None:
    """A list of objects."""
    rows = [
        {
            "id": prediction.id,
            "label": prediction.label,
            "probability": prediction.probability,
            "top": [{"label": name, "probability": p} for name, p in prediction.top],
            "by_view": _of_views(prediction.by_view),
            "view_grades": _of_views(prediction.view_grades),
            "views_disagree": prediction.views_disagree,
        }
        for prediction in predictions
    ]
    typer.echo(json.dumps(rows, indent=2))


def _of_views(answers: dict[str, tuple[str, float]]) -> dict[str, dict[str, str | float]]:
    return {view: {"label": name, "probability": p} for view, (name, p) in answers.items()}
