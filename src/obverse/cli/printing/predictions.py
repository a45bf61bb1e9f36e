"""One prediction as text and as a row of a CSV, of a model of either kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from obverse.errors import printable

from .csv_rows import CsvRows

if TYPE_CHECKING:
    from obverse.explain import Similar
    from obverse.inference import Prediction
    from obverse.recipe import OutputSpec

THRESHOLDS = "; each class has its own threshold"

# Columns of the CSV form about the decision on an answer.
DECIDED = ("confidence", "decision", "reason")
# Columns of the CSV form about each similar training sample.
SIMILAR = ("similar", "similar_label", "cosine")


def note(output: OutputSpec) -> str:
    """What percentages mean: whether they are calibrated."""
    meaning = "are not calibrated" if output.calibration is None else "are calibrated on val"
    return f"(percentages {meaning}{THRESHOLDS * (output.kind == 'binary')})"


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


def header(
    classes: Sequence[str], num_places: int, *, is_set: bool, has_sets: bool = False, num_similar: int = 0
) -> list[str]:
    """Header of the CSV form, without the column `error`."""
    places = [f"{what}_{place}" for place in range(1, num_places + 1) for what in ("class", "probability")]
    columns = ["labels", *classes] if is_set else places
    evidence = [f"{what}_{place}" for place in range(1, num_similar + 1) for what in SIMILAR]
    return ["id", *columns, *["set"] * has_sets, *DECIDED, *evidence]


def print_row(prediction: Prediction, rows: CsvRows, *, num_similar: int = 0) -> None:
    """id, class and probability from the likeliest down (or label set and all probabilities), set, decision, evidence.

    num_similar: similar training samples for which there are columns.
    """
    cells: list[str | float] = [cell for pair in prediction.top for cell in pair]
    if prediction.is_set:
        cells = ["|".join(sorted(name for name, _ in prediction.labels)), *prediction.probabilities.values()]
    if prediction.set_level is not None:
        cells.append("|".join(prediction.set))
    confidence = "" if prediction.confidence is None else prediction.confidence
    evidence = [cell for sample in prediction.similar for cell in (sample.id, sample.label, sample.cosine)]
    evidence += [""] * (num_similar * len(SIMILAR) - len(evidence))
    rows.write([prediction.id, *cells, confidence, prediction.decision or "", prediction.reason, *evidence, ""])


def _percent(level: float) -> str:
    return f"{100 * level:g} %"
