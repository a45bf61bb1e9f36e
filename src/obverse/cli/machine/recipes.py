"""`obverse recipes [NAME]`."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="Show this recipe's file.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of recipe files.")] = False,
) -> None:
    """List the shipped recipes, show one, or print the JSON Schema for your editor."""
    from obverse.errors import RecipeError
    from obverse.recipe import did_you_mean, recipe_schema, shipped_recipes

    shipped = shipped_recipes()
    if schema:
        typer.echo(json.dumps(recipe_schema(), indent=2))
    elif name is None:
        for recipe, text in shipped.items():
            typer.echo(f"{recipe:20} {text.splitlines()[0].removeprefix('# ').removeprefix('Goal: ')}")
    elif name in shipped:
        typer.echo(shipped[name], nl=False)
    else:
        raise RecipeError(f"no recipe `{name}`{did_you_mean(name, list(shipped))}; `obverse recipes` lists them")
