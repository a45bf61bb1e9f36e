"""Printing what a multi-label model says: every class that reaches its threshold, with its probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from obverse.errors import printable

from .csv_rows import CsvRows

if TYPE_CHECKING:
    from obverse.inference import SetPrediction


def print_block(prediction: SetPrediction) -> None:
    """For people."""
    typer.echo(printable(prediction.id))
    for name, probability in prediction.labels:
        typer.echo(f"  {probability:7.2%}  {printable(name)}  (from {prediction.thresholds[name]:.2%})")
    if not prediction.labels:
        name, probability = max(prediction.probabilities.items(), key=lambda pair: pair[1])
        typer.echo(f"  no class reaches its threshold; the likeliest is {printable(name)}, {probability:.2%}")
    for view, labels in prediction.by_view.items():
        told = ", ".join(f"{printable(name)} {probability:.2%}" for name, probability in labels)
        typer.echo(f"  {printable(view)} alone: {told or 'no class'}")


NOTE = "(percentages are as the model gives them, not calibrated; each class has its own threshold)"


def header(classes: Sequence[str]) -> list[str]:
    """Of the CSV, without `error`."""
    return ["id", "labels", *classes]


def print_row(prediction: SetPrediction, rows: CsvRows) -> None:
    """id, the label set, then the probability of every class, which the header names."""
    labels = "|".join(sorted(name for name, _ in prediction.labels))
    rows.write([prediction.id, labels, *prediction.probabilities.values(), ""])


def as_json(prediction: SetPrediction) -> dict[str, Any]:
    """An object."""
    return {
        "id": prediction.id,
        "labels": _as_json(prediction.labels),
        "probabilities": prediction.probabilities,
        "thresholds": prediction.thresholds,
        "by_view": {view: _as_json(labels) for view, labels in prediction.by_view.items()},
    }


def _as_json(labels: Sequence[tuple[str, float]]) -> list[dict[str, object]]:
    return [{"label": name, "probability": p} for name, p in labels]
