"""`obverse publish MODEL OUT`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.errors import RecipeError, printable


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    out: Annotated[Path, typer.Argument(help="The new folder: model card, bundle, weights for timm.")],
    license: Annotated[
        str | None,
        typer.Option(help="Licence of the model, such as apache-2.0; by default that of the weights it came from."),
    ] = None,
    push: Annotated[
        str | None, typer.Option(help="Also upload it to a new, private repository OWNER/NAME on the hub.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see the repository of --push.")] = False,
) -> None:
    """Write a model as a Hugging Face repository, with a model card."""
    from obverse import publishing
    from obverse.runs import explained

    if public and push is None:
        raise RecipeError("--public is for --push OWNER/NAME")
    if push is not None:
        publishing.require_name(push)
    with explained(out, "publish where more is free"):
        done = publishing.publish(model, out, licence=license)
    typer.echo(f"wrote {printable(str(out))}: bundle, model card" + ("" if done.no_timm else ", weights for timm"))
    if done.no_timm:
        typer.echo(f"no weights for timm, because {done.no_timm}")
    if done.measured is None:
        typer.echo("no numbers on test, and the model card says so: publish the run folder after `obverse evaluate`")
    typer.echo(printable(f"licence of the weights it came from: {done.weights_licence}"))
    if push is not None:
        typer.echo(f"pushed to {printable(publishing.push(out, push, public=public))}")
