"""Options that several verbs share."""

from __future__ import annotations

import json
import os
import re
from typing import Annotated

import typer

from obverse.registry import ENGINES, SOURCES

DEVICE = r"auto|cpu|mps|cuda(:\d+)?"


def _check_device(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(DEVICE, name):
        raise typer.BadParameter(f"no device `{name}`; choose auto, cpu, cuda, cuda:N or mps")
    return name


def _check_engine(name: str) -> str:
    if name not in ENGINES:
        raise typer.BadParameter(f"no engine `{name}`; choose {', '.join(ENGINES)}")
    return name


_option = typer.Option(help="Where the model runs: auto, cpu, cuda, cuda:N or mps.", callback=_check_device)
Device = Annotated[str, _option]
OptionalDevice = Annotated[str | None, _option]
Engine = Annotated[
    str,
    typer.Option(
        help="The library that runs the model: torch, onnx or openvino, which give equal answers, or auto: the fastest "
        "one that is installed, measured once on this machine.",
        callback=_check_engine,
    ),
]
RecipeName = Annotated[str, typer.Option("--recipe", help="A shipped recipe's name or a YAML file.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Change a field of the recipe: optim.lr=3e-4; repeat for several.")
]
Layout = Annotated[
    str | None,
    typer.Option(help=f"How the data is laid out, where detection is wrong: {', '.join(SOURCES)}."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option("--label-column", help="The column of a table that holds the label, where it is not `label`."),
]
ImageColumn = Annotated[
    list[str] | None,
    typer.Option("--image-column", help="The column of a table that names the pictures; repeat for several views."),
]
ImageRoot = Annotated[str | None, typer.Option("--image-root", help="The folder that the paths in a table start at.")]

Fixes = Annotated[
    list[str] | None,
    typer.Option("--fixes", help="A table of label fixes, as `obverse suspects` writes it; repeat for several."),
]


def fixes_setting(files: list[str] | None) -> list[str]:
    """The option as a setting of the recipe, which outlives the current folder."""
    return [f"data.fixes={json.dumps([*map(os.path.abspath, files)])}"] if files else []


def table_settings(label: str | None, images: list[str] | None, root: str | None) -> list[str]:
    """The options on tables as settings of the recipe, which outlives the current folder."""
    from obverse.api.short_forms import image_root_setting

    settings = [f"data.label_column={json.dumps(label)}"] if label is not None else []
    settings += [f"data.views={json.dumps(images)}"] if images else []
    return settings + ([f"data.image_root={json.dumps(image_root_setting(root))}"] if root is not None else [])


def layout_setting(layout: str | None) -> list[str]:
    """The option as a setting of the recipe, which knows all names."""
    return [] if layout is None else [f"data.layout={layout}"]
