"""`obverse recipes [NAME]`."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def command(
    name: Annotated[
        str | None,
        typer.Argument(help="Print the file of this shipped recipe; with --fields a section or field, such as optim."),
    ] = None,
    fields: Annotated[
        bool, typer.Option("--fields", help="Describe the fields of a recipe as Markdown: values, default, meaning.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema, with which editors complete and check recipes.")
    ] = False,
) -> None:
    """List the shipped recipes, print one, or describe what a recipe may say."""
    from obverse.errors import RecipeError
    from obverse.recipe import describe_fields, did_you_mean, recipe_schema, shipped_recipes

    shipped = shipped_recipes()
    if schema and (fields or name is not None):
        raise RecipeError("--schema prints the whole JSON Schema; leave out NAME and --fields")
    if schema:
        typer.echo(json.dumps(recipe_schema(), indent=2))
    elif fields:
        typer.echo(describe_fields(name), nl=False)
    elif name is None:
        for recipe, text in shipped.items():
            typer.echo(f"{recipe:20} {text.splitlines()[0].removeprefix('# ').removeprefix('Goal: ')}")
    elif name in shipped:
        typer.echo(shipped[name], nl=False)
    else:
        raise RecipeError(f"no recipe `{name}`{did_you_mean(name, list(shipped))}; `obverse recipes` lists them")
