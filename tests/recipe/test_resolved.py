"""A resolved recipe: the same fields in the same order, and no `auto` anywhere."""

from __future__ import annotations

import typing
from typing import Any

import pytest
from pydantic import BaseModel

from obverse.errors import RecipeError
from obverse.recipe import Recipe, ResolvedRecipe


def specs_in(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [spec for part in typing.get_args(kind) for spec in specs_in(part)]


def literals_in(kind: Any) -> set[object]:
    parts = typing.get_args(kind)
    return set(parts) if typing.get_origin(kind) is typing.Literal else set().union(*map(literals_in, parts))


def every_spec(kind: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [spec for field in kind.model_fields.values() for spec in specs_in(field.annotation)]
    return [kind, *(below for spec in inner for below in every_spec(spec))]


def test_no_field_of_a_resolved_recipe_can_be_auto() -> None:
    specs = every_spec(ResolvedRecipe)
    assert len(specs) > 20
    for spec in specs:
        for name, field in spec.model_fields.items():
            assert "auto" not in literals_in(field.annotation), f"{spec.__name__}.{name}"
            assert field.default != "auto" or (spec, name) == (ResolvedRecipe, "name"), f"{spec.__name__}.{name}"


def test_files_of_both_have_the_same_fields_in_the_same_order() -> None:
    """So that recipe.yaml of a run reads like the recipe that a user wrote."""
    resolved = [spec for spec in every_spec(ResolvedRecipe) if spec.__name__.startswith("Resolved")]
    assert len(resolved) > 10
    for spec in resolved:
        assert list(spec.model_fields) == list(spec.__mro__[1].model_fields)


def test_what_is_still_auto_is_named() -> None:
    with pytest.raises(RecipeError) as refused:
        ResolvedRecipe.of(Recipe())
    assert "`data.views`" in str(refused.value)
    assert "`data.cache.kind`" in str(refused.value)
