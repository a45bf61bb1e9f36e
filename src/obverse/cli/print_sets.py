"""Printing what a multi-label model says: every class that reaches its threshold, with its probability."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from obverse.errors import printable

if TYPE_CHECKING:
    from obverse.inference import SetPrediction


def print_table(predictions: Sequence[SetPrediction]) -> None:
    """A block per sample, for people."""
    for prediction in predictions:
        typer.echo(printable(prediction.id))
        for name, probability in prediction.labels:
            typer.echo(f"  {probability:7.2%}  {printable(name)}  (from {prediction.thresholds[name]:.2%})")
        if not prediction.labels:
            name, probability = max(prediction.probabilities.items(), key=lambda pair: pair[1])
            typer.echo(f"  no class reaches its threshold; the likeliest is {printable(name)}, {probability:.2%}")
        for view, labels in prediction.by_view.items():
            told = ", ".join(f"{printable(name)} {probability:.2%}" for name, probability in labels)
            typer.echo(f"  {printable(view)} alone: {told or 'no class'}")
    typer.echo("(percentages are as the model gives them, not calibrated; each class has its own threshold)")


def print_csv(predictions: Sequence[SetPrediction]) -> None:
    """One row per sample: id, the label set, then the probability of every class, which the header names."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["id", "labels", *predictions[0].probabilities])
    for prediction in predictions:
        labels = "|".join(sorted(name for name, _ in prediction.labels))
        probabilities = (f"{p:.6f}" for p in prediction.probabilities.values())
        writer.writerow([printable(prediction.id), labels, *probabilities])


def print_json(predictions: Sequence[SetPrediction]) -> None:
    """A list of objects."""
    rows = [
        {
            "id": prediction.id,
            "labels": _as_json(prediction.labels),
            "probabilities": prediction.probabilities,
            "thresholds": prediction.thresholds,
            "by_view": {view: _as_json(labels) for view, labels in prediction.by_view.items()},
        }
        for prediction in predictions
    ]
    typer.echo(json.dumps(rows, indent=2))


def _as_json(labels: Sequence[tuple[str, float]]) -> list[dict[str, object]]:
    return [{"label": name, "probability": p} for name, p in labels]
