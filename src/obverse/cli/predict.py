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

from .options import Device

if TYPE_CHECKING:
    from obverse.inference import Prediction


View = Annotated[list[str] | None, typer.Option(help="A view of one sample: obverse=a.jpg; repeat per view.")]


class Format(StrEnum):
    """How predictions are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Pictures and folders of pictures.")] = None,
    view: View = None,
    top_k: Annotated[int, typer.Option(min=1, help="How many classes to show.")] = 3,
    format: Annotated[Format, typer.Option(help="How to print.")] = Format.table,
    device: Device = "auto",
) -> None:
    """Predict pictures with a trained model."""
    inputs = given_inputs(paths, view)
    from obverse.inference import load

    predictions = load(model, device=device).predict(inputs, top_k=top_k)
    {"table": print_table, "csv": print_csv, "json": print_json}[format.value](predictions)


def given_inputs(paths: Sequence[Path] | None, view: Sequence[str] | None) -> list[Any]:
    """What a predictor takes, from the command line."""
    inputs: list[Any] = list(paths or [])
    if view:
        inputs.append(_views(view))
    if not inputs:
        raise RecipeError("nothing to predict: give at least one picture, a folder, or --view NAME=FILE")
    return inputs


def _views(pairs: Sequence[str]) -> dict[str, Path]:
    views = {}
    for pair in pairs:
        name, equals, file = pair.partition("=")
        if not equals or not name or not file:
            raise RecipeError(f"--view {pair}: write it as NAME=FILE, for example obverse=coin.jpg")
        if name in views:
            raise RecipeError(f"--view {name} is given twice; one command predicts one sample given by --view")
        views[name] = Path(file)
    return views


def print_table(predictions: Sequence[Prediction]) -> None:
    """A block per sample, for people."""
    for prediction in predictions:
        typer.echo(printable(prediction.id))
        for name, probability in prediction.top:
            typer.echo(f"  {probability:7.2%}  {printable(name)}")
        for view, (name, probability) in prediction.by_view.items():
            typer.echo(f"  {printable(view)} alone: {printable(name)} {probability:.2%}")
    typer.echo("(percentages are softmax outputs, not calibrated)")


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
            "by_view": {view: {"label": name, "probability": p} for view, (name, p) in prediction.by_view.items()},
        }
        for prediction in predictions
    ]
    typer.echo(json.dumps(rows, indent=2))
