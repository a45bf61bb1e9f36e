"""`obverse sample coins|shapes DIR`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from obverse.errors import printable


class Kind(StrEnum):
    """What to draw."""

    coins = "coins"
    shapes = "shapes"


def command(
    kind: Annotated[Kind, typer.Argument(help="coins: two views, graded. shapes: classes of shapes.")],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    samples: Annotated[int | None, typer.Option(min=10, help="Number of samples.")] = None,
    size: Annotated[int | None, typer.Option(min=16, max=1024, help="Side of the pictures in pixels.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed; another one draws another set.")] = 0,
) -> None:
    """Draw a generated picture set, to try Obverse without pictures of your own."""
    from obverse.manifest.generated import generate_coins, generate_shapes

    given = {"num_samples": samples, "size": size}
    options = {name: value for name, value in given.items() if value is not None}
    generate = generate_coins if kind is Kind.coins else generate_shapes
    result = generate(folder, seed=seed, **options)
    typer.echo(f"{result.num_samples} samples of {len(result.classes)} classes in {printable(str(result.folder))}")
