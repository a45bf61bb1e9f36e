"""Options that several verbs share."""

from __future__ import annotations

import re
from typing import Annotated

import typer

DEVICE = r"auto|cpu|mps|cuda(:\d+)?"


def _check_device(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(DEVICE, name):
        raise typer.BadParameter(f"no device `{name}`; choose auto, cpu, cuda, cuda:N or mps")
    return name


_option = typer.Option(help="auto, cpu, cuda, cuda:N or mps.", callback=_check_device)
Device = Annotated[str, _option]
OptionalDevice = Annotated[str | None, _option]
Layout = Annotated[
    str | None,
    typer.Option(
        help="How DATA is laid out, when what is seen is wrong: class-folders, view-folders, suffix-views, "
        "split-horizontal, table, json-index, parquet, cifar or manifest."
    ),
]


def layout_setting(layout: str | None) -> list[str]:
    """The option as a setting of the recipe, which knows all names."""
    return [] if layout is None else [f"data.layout={layout}"]
