"""`obverse explain MODEL PATHS`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obverse.cli.options import Device
from obverse.errors import printable

from .predict import Column, View, given_columns, given_inputs


def command(
    model: Annotated[Path, typer.Argument(help="A run folder or a bundle.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Pictures and folders of pictures.")] = None,
    view: View = None,
    column: Column = None,
    out: Annotated[Path, typer.Option(help="The folder for the drawn pictures.")] = Path("explained"),
    device: Device = "auto",
) -> None:
    """Draw where a model looks: attention of transformers, Grad-CAM of convolutional networks, for every view."""
    inputs, columns = given_inputs(paths, view), given_columns(column)
    from obverse.inference.explaining import explain_pictures

    for drawn in explain_pictures(model, inputs, out, columns=columns, device=device):
        answer = f"{printable(drawn.predicted)} {drawn.probability:.2%}"
        typer.echo(f"{printable(str(out / drawn.file))}  {answer}  {printable(drawn.id)}")
