"""The base of every recipe section: frozen, strict, no unknown keys.

Not a place for fields. Strict means that `epochs: true` and `epochs: "10"` are refused rather than guessed at.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue

from obverse.errors import RecipeError
from obverse.recipe.faults import sentences_of

Auto = Literal["auto"]
# No count of epochs, samples of a batch or maps is larger, and no factor or time.
MAX_COUNT = 1_000_000
MAX_FLOAT = 1e9
PositiveInt = Annotated[int, Field(gt=0, le=MAX_COUNT)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MAX_COUNT)]
PositiveFloat = Annotated[float, Field(gt=0, le=MAX_FLOAT)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=MAX_FLOAT)]
# What numpy's and torch's generators both take.
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Level = Annotated[float, Field(gt=0, lt=1)]


class Spec(BaseModel):
    """A frozen recipe section; unknown keys and wrong types are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema, with the text below each field as its description.

        pydantic could read these texts itself, but would do so at every start of every command.
        """
        described = handler(schema)
        properties = handler.resolve_ref_schema(described)["properties"]
        for kind in cls.__mro__:
            if issubclass(kind, Spec):
                for name in properties.keys() & _texts_of_fields(kind).keys():
                    properties[name].setdefault("description", _texts_of_fields(kind)[name])
        return described

    def changed(self, changes: Mapping[str, object]) -> Self:
        """A copy with other values, validated as a whole. A key may go down into sections: `training.epochs`.

        RecipeError when the values do not go together.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        inner: dict[str, dict[str, object]] = {}
        for key, value in changes.items():
            name, _, below = key.partition(".")
            if below:
                inner.setdefault(name, {})[below] = value
            else:
                values[name] = value
        values |= {name: getattr(self, name).changed(below) for name, below in inner.items()}
        try:
            return type(self).model_validate(values)
        except ValidationError as error:
            sentences = sentences_of(error, values, self.model_json_schema())
            raise RecipeError(sentences.removeprefix("`recipe`: ")) from None


@functools.cache
def _texts_of_fields(kind: type) -> dict[str, str]:
    """Field -> the text below it in the source of its class; none where the source is not installed."""
    try:
        source = inspect.getsource(kind)
    except OSError:
        return {}
    (definition,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(definition.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
