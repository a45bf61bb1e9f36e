"""`obverse explain MODEL PATHS`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obverse.cli.options import Device
from obverse.cli.printing.predictions import print_similar
from obverse.errors import printable

from .predict import Column, View, given_columns, given_inputs

if TYPE_CHECKING:
    from obverse.explain import Influence


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Pictures and folders of pictures.")] = None,
    view: View = None,
    column: Column = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="attention, rollout, gradient-rollout, layer-cam, grad-cam, occlusion, or all that the network has; "
            "repeat for several. By default the most faithful of the fast ones for the network."
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="The class to explain; by default the predicted one, of a label set the likeliest."),
    ] = None,
    similar: Annotated[
        int,
        typer.Option(
            min=0, help="Number of most similar training pictures to print, with their labels; needs the run's data."
        ),
    ] = 0,
    out: Annotated[Path, typer.Option(help="The folder for the drawn pictures.")] = Path("explained"),
    device: Device = "auto",
) -> None:
    """Draw where a model looks, for every view, and print how much each view moved the answer."""
    inputs, columns = given_inputs(paths, view), given_columns(column)
    from obverse.experiment import training_embeddings
    from obverse.inference import load
    from obverse.inference.explaining import Wish, explain_pictures

    among = training_embeddings(model, load(model, device=device)) if similar else None
    wish = Wish(tuple(method or ()), label, among, similar)
    results = explain_pictures(model, inputs, out, columns=columns, device=device, wish=wish)
    for result in results:
        drawn = result.drawn
        answer = f"{printable(drawn.predicted)} {drawn.probability:.2%}"
        typer.echo(f"{printable(str(out / drawn.file))}  {answer}  {printable(drawn.id)}")
        if result.influence is not None:
            _print_influence(result.influence, drawn.explained)
        for sample in result.similar:
            print_similar(sample)


def _print_influence(influence: Influence, explained: str) -> None:
    """One line per view: how many points it adds to the class's probability, and the probability without it."""
    typer.echo(f"  {printable(explained)} {influence.probability:.1%}, of which {influence.base:.1%} without any view:")
    for name, view in influence.views.items():
        share = "" if view.share is None else f"{100 * view.share:+z.1f} points; "
        typer.echo(f"    {printable(name)}: {share}alone {view.alone:.1%}, without it {view.without:.1%}")
