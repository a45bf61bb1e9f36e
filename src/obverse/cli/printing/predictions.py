"""One prediction as text, of a model of either kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from obverse.errors import printable

if TYPE_CHECKING:
    from obverse.explain import Similar
    from obverse.inference import Prediction


def print_block(prediction: Prediction, *, decode: str = "mode", views: Sequence[str] = ()) -> None:
    """For people: the classes that were asked for, or those of the label set.

    decode: which class of a distribution the model answers. views: those of the model.
    """
    typer.echo(printable(prediction.id))
    for name, probability in prediction.labels if prediction.is_set else prediction.top:
        threshold = f"  (from {prediction.thresholds[name]:.2%})" if prediction.is_set else ""
        typer.echo(f"  {probability:7.2%}  {printable(name)}{threshold}")
    if not prediction.labels:
        name, probability = prediction.top[0]
        typer.echo(f"  no class reaches its threshold; the likeliest is {printable(name)}, {probability:.2%}")
    if not prediction.is_set and prediction.likeliest != prediction.label:
        answer, likeliest = printable(prediction.label), printable(prediction.likeliest)
        typer.echo(f"  answer {answer} is the {decode}; the most probable is {likeliest}")
    if prediction.set_level is not None:
        what = " of the labels" * prediction.is_set
        typer.echo(f"  set: {printable(prediction.set_words)}, {_percent(prediction.set_level)}{what}")
    for view in views if prediction.by_view else ():
        if view not in prediction.by_view:
            typer.echo(f"  {printable(view)} is missing: the answer is from the other views")
    for what, by_view in (("alone", prediction.by_view), ("by its own head", prediction.view_grades)):
        for view, labels in by_view.items():
            names = ", ".join(f"{printable(name)} {probability:.2%}" for name, probability in labels)
            typer.echo(f"  {printable(view)} {what}: {names or 'no class'}")
    if prediction.views_disagree and not prediction.is_set:
        typer.echo("  the views disagree")
    if prediction.decision is not None:
        typer.echo(f"  {prediction.decision}: {printable(prediction.reason)}")
    for sample in prediction.similar:
        print_similar(sample)


def print_similar(sample: Similar) -> None:
    """One similar training sample: its cosine similarity, label and name."""
    typer.echo(f"  similar {sample.cosine:.3f}: {printable(sample.label)}  {printable(sample.id)}")


def _percent(level: float) -> str:
    return f"{100 * level:g} %"
